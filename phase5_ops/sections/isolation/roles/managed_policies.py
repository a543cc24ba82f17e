"""AWS's own managed policies that are known here: what they grant on DynamoDB's items. Pure.

A short list of the policies that functions' roles use most. IAM is asked for any other; one that IAM does not give is not judged.

Source: AWS Managed Policy Reference Guide, read on 2026-09-24.
"""

import re
from collections.abc import Sequence
from typing import Any

_AWS_POLICY = re.compile(r"arn:[^:]*:iam::aws:policy/(?:[^/]+/)*([^/]+)")

_READ = ("BatchGetItem", "GetItem", "Query", "Scan", "PartiQLSelect")
_GRANTING: dict[str, tuple[str, ...]] = {
    "AdministratorAccess": ("*",),
    "PowerUserAccess": ("*",),
    "ReadOnlyAccess": ("dynamodb:BatchGet*", "dynamodb:Get*", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect"),
    "AmazonDynamoDBFullAccess": ("dynamodb:*",),
    "AmazonDynamoDBFullAccess_v2": ("dynamodb:*",),
    "AmazonDynamoDBFullAccesswithDataPipeline": ("dynamodb:*",),
    "AmazonDynamoDBReadOnlyAccess": tuple(f"dynamodb:{action}" for action in _READ),
    "DatabaseAdministrator": ("dynamodb:*",),
    "DataScientist": ("dynamodb:*",),
    "AWSLambdaFullAccess": ("dynamodb:*",),
    "AWSLambdaDynamoDBExecutionRole": ("dynamodb:GetRecords",),
    "AWSLambdaInvocation-DynamoDB": ("dynamodb:GetRecords",),
}
_WITHOUT_ITEMS = frozenset(
    {
        "AWSLambdaBasicExecutionRole",
        "AWSLambdaVPCAccessExecutionRole",
        "AWSLambdaENIManagementAccess",
        "AWSLambdaSQSQueueExecutionRole",
        "AWSLambdaKinesisExecutionRole",
        "AWSLambdaMSKExecutionRole",
        "AWSLambdaRole",
        "AWSLambdaExecute",
        "AWSLambda_FullAccess",
        "AWSLambda_ReadOnlyAccess",
        "AWSXRayDaemonWriteAccess",
        "AWSXrayWriteOnlyAccess",
        "AWSStepFunctionsFullAccess",
        "AWSAppSyncPushToCloudWatchLogs",
        "AWSCodeDeployRoleForLambda",
        "AWSCodeDeployRoleForLambdaLimited",
        "AmazonAPIGatewayInvokeFullAccess",
        "AmazonAPIGatewayPushToCloudWatchLogs",
        "AmazonBedrockFullAccess",
        "AmazonCognitoPowerUser",
        "AmazonCognitoReadOnly",
        "AmazonECSTaskExecutionRolePolicy",
        "AmazonEventBridgeFullAccess",
        "AmazonS3FullAccess",
        "AmazonS3ReadOnlyAccess",
        "AmazonSESFullAccess",
        "AmazonSNSFullAccess",
        "AmazonSQSFullAccess",
        "AmazonSSMManagedInstanceCore",
        "AmazonSSMReadOnlyAccess",
        "CloudWatchFullAccess",
        "CloudWatchLambdaApplicationSignalsExecutionRolePolicy",
        "CloudWatchLambdaInsightsExecutionRolePolicy",
        "CloudWatchLogsFullAccess",
        "CloudWatchLogsReadOnlyAccess",
        "CloudWatchReadOnlyAccess",
        "SecretsManagerReadWrite",
    }
)
#: Paths at which AWS may have a policy that is given by name alone, as SAM allows.
_PATHS = ("", "service-role/", "job-function/")


def known_policy(reference: str) -> dict[str, Any] | None:
    """The document of an AWS-managed policy by ARN or plain name, as far as it concerns items; None if not known here."""
    found = _AWS_POLICY.fullmatch(reference)
    name = found.group(1) if found else reference
    if name in _WITHOUT_ITEMS:
        return {"Statement": []}
    return allowing(_GRANTING[name], ["*"]) if name in _GRANTING else None


def arns_to_ask(reference: str, partition: str = "aws") -> list[str]:
    """The ARNs under which IAM may have a policy that is named by ARN, or by its plain name."""
    if re.fullmatch(r"[\w+=,.@-]+", reference):
        return [f"arn:{partition}:iam::aws:policy/{path}{reference}" for path in _PATHS]
    found = re.fullmatch(r"arn:[^:]*:(iam::[^:*$]+:policy/[^*$]+)", reference)
    return [f"arn:{partition}:{found.group(1)}"] if found else []


def allowing(actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    """A policy document that allows `actions` on `resources`."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}]}
