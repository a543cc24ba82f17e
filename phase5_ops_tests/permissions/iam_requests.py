"""What IAM is asked for a call of AWS: the action, the resource and the condition keys, from the operation and its parameters.

Most operations are the action of the same name on one resource. The exceptions are those of the Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/): one call that asks for several actions or resources,
actions of another name, and operations that know no resource. An operation that is not described here is an error, so that a new
call of the product is not judged by a guess.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.kms.models import kms_backends

from phase5_ops.sandbox.aws.account import ACCOUNT

Params = Mapping[str, Any]

LEADING_KEYS = "dynamodb:LeadingKeys"
RESOURCE_ALIASES = "kms:ResourceAliases"
PASSED_TO = "iam:PassedToService"

#: Names of services as IAM has them, where botocore has another.
_PREFIXES = {"stepfunctions": "states"}

#: Operations whose action has another name.
_ACTIONS = {
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "budgets:DescribeBudgets": "budgets:ViewBudget",
    "budgets:DescribeNotificationsForBudget": "budgets:ViewBudget",
    "budgets:DescribeSubscribersForNotification": "budgets:ViewBudget",
}

#: Services of which the product calls only operations that IAM cannot limit to a resource.
_WITHOUT_RESOURCES = {"budgets", "ce", "cloudtrail", "sts"}

#: The same of single operations.
FOR_ALL = {
    "cloudwatch:DescribeAlarmHistory",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:ListDashboards",
    "cloudwatch:ListMetrics",
    "dynamodb:ListTables",
    "iam:GetAccountAuthorizationDetails",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
}


@dataclass(frozen=True)
class IamRequest:
    """One question to IAM."""

    action: str
    resource: str
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def iam_requests(service: str, operation: str, params: Params, region: str) -> list[IamRequest]:
    """What IAM is asked before the call is carried out.

    Raises:
        NotImplementedError: the operation is not known here.
    """
    action = f"{_PREFIXES.get(service, service)}:{operation}"
    action = _ACTIONS.get(action, action)
    if operation == "AssumeRole":
        return [IamRequest(action, params["RoleArn"])]
    if service in _WITHOUT_RESOURCES or action in FOR_ALL:
        return [IamRequest(action, "*")]
    if service == "dynamodb":
        return list(_of_tables(action, operation, params, region))
    if service == "kms":
        return [_of_key(action, params, region)]
    if (resource := _resource(service, operation, params, f"{region}:{ACCOUNT}")) is None:
        raise NotImplementedError(f"{action} of {sorted(params)}: say in iam_requests.py what IAM is asked for it")
    found = [IamRequest(action, each) for each in resource]
    if operation == "StartJobRun":
        found.append(IamRequest("iam:PassRole", params["executionRoleArn"], {PASSED_TO: ("emr-serverless.amazonaws.com",)}))
    return found


def _resource(service: str, operation: str, params: Params, here: str) -> list[str] | None:
    match service, operation:
        case "s3", _:
            return [f"arn:aws:s3:::{params['Bucket']}" + (f"/{params['Key']}" if "Key" in params else "")]
        case "cloudwatch", "GetDashboard":
            return [f"arn:aws:cloudwatch::{ACCOUNT}:dashboard/{params['DashboardName']}"]
        case "cloudwatch", "GetAlarmMuteRule":
            return [f"arn:aws:cloudwatch:{here}:alarm-mute-rule:{params['AlarmMuteRuleName']}"]
        case "sns", "GetSubscriptionAttributes":
            return [params["SubscriptionArn"].rpartition(":")[0]]
        case "sns", _:
            return [params["TopicArn"]]
        case "sqs", "GetQueueUrl":
            return [f"arn:aws:sqs:{here}:{params['QueueName']}"]
        case "sqs", _:
            return [f"arn:aws:sqs:{here}:{params['QueueUrl'].rpartition('/')[2]}"]
        case "lambda", _:
            name = params["FunctionName"]
            return [name if name.startswith("arn:") else f"arn:aws:lambda:{here}:function:{name}"]
        case "iam", "GetPolicy" | "GetPolicyVersion":
            return [params["PolicyArn"]]
        case "iam", "GetRole":
            return [f"arn:aws:iam::{ACCOUNT}:role/{params['RoleName']}"]
        case "iam", "SimulatePrincipalPolicy":
            return [params["PolicySourceArn"]]
        case "logs", "FilterLogEvents":
            return [f"arn:aws:logs:{here}:log-group:{params['logGroupName']}:*"]
        case "events", "PutEvents":
            return [f"arn:aws:events:{here}:event-bus/{each.get('EventBusName', 'default')}" for each in params["Entries"]]
        case "ssm", _:
            return [f"arn:aws:ssm:{here}:parameter/{params['Name'].lstrip('/')}"]
        case "secretsmanager", _:
            return [f"arn:aws:secretsmanager:{here}:secret:{params['SecretId']}-AbCdEf"]
        case "cognito-idp", _:
            return [f"arn:aws:cognito-idp:{here}:userpool/{params['UserPoolId']}"]
        case "codepipeline", "GetPipelineState":
            return [f"arn:aws:codepipeline:{here}:{params['name']}"]
        case "codepipeline", "PutApprovalResult":
            return [
                f"arn:aws:codepipeline:{here}:{'/'.join(params[each] for each in ('pipelineName', 'stageName', 'actionName'))}"
            ]
        case "stepfunctions", _:
            return [params.get("stateMachineArn") or params["executionArn"]]
        case "emr-serverless", _:
            run = f"/jobruns/{params['jobRunId']}" if "jobRunId" in params else ""
            return [f"arn:aws:emr-serverless:{here}:/applications/{params['applicationId']}{run}"]
    return None


def _of_key(action: str, params: Params, region: str) -> IamRequest:
    """A key is asked for as itself, whatever the request calls it, and known by its aliases."""
    backend = kms_backends[ACCOUNT][region]
    key_id = backend.get_key_id(backend.any_id_to_key_id(params["KeyId"]))
    aliases = tuple(backend.keys[key_id].aliases) if key_id in backend.keys else ()
    return IamRequest(action, f"arn:aws:kms:{region}:{ACCOUNT}:key/{key_id}", {RESOURCE_ALIASES: aliases})


def _of_tables(action: str, operation: str, params: Params, region: str) -> Iterator[IamRequest]:
    """A table, its index, or each table of a batch, with the partition keys that the request names."""
    if operation in ("BatchGetItem", "BatchWriteItem"):
        for table, asked in params["RequestItems"].items():
            items = asked["Keys"] if operation == "BatchGetItem" else [_written(each) for each in asked]
            yield IamRequest(
                action, _table(table, region), {LEADING_KEYS: tuple(_leading(table, item, region) for item in items)}
            )
        return
    table = params.get("TableName") or params["ResourceArn"]
    arn = _table(table, region) + (f"/index/{params['IndexName']}" if "IndexName" in params else "")
    if operation in ("GetItem", "PutItem", "UpdateItem", "DeleteItem"):
        item = params["Item"] if operation == "PutItem" else params["Key"]
        yield IamRequest(action, arn, {LEADING_KEYS: (_leading(table, item, region),)})
    elif operation == "Query":
        yield IamRequest(action, arn, {LEADING_KEYS: (_queried(params),)})
    else:
        yield IamRequest(action, arn)


def _table(name: str, region: str) -> str:
    return name if name.startswith("arn:") else f"arn:aws:dynamodb:{region}:{ACCOUNT}:table/{name}"


def _written(request: Params) -> Params:
    return request["PutRequest"]["Item"] if "PutRequest" in request else request["DeleteRequest"]["Key"]


def _leading(table: str, item: Params, region: str) -> str:
    stored = dynamodb_backends[ACCOUNT][region].tables[table.rpartition("/")[2]]
    return _text(item[stored.hash_key_attr])


def _queried(params: Params) -> str:
    """The value of the partition key, which stands first in every condition that the product writes."""
    name = re.match(r"\s*[#\w]+\s*=\s*(:\w+)", params["KeyConditionExpression"])
    assert name, params["KeyConditionExpression"]
    return _text(params["ExpressionAttributeValues"][name.group(1)])


def _text(value: Any) -> str:
    return str(next(iter(value.values()))) if isinstance(value, Mapping) else str(value)
