"""What SAM (Serverless Application Model) adds to a function's role: policy templates and events. Plain data.

Source: AWS SAM Developer Guide, "Policy template list"; aws-sam-translator 1.110 (policy_templates.json, model/eventsources).
"""

from collections.abc import Mapping

#: Resource types of SAM that make no role that reaches items.
WITHOUT_ROLES = frozenset({"Api", "HttpApi", "WebSocketApi", "LayerVersion", "SimpleTable", "CapacityProvider"})
WITH_ROLES = ("AWS::Serverless::Function", "AWS::Serverless::StateMachine")

_ALL = ("", "/index/*")
_TABLE = ("",)
_READ = ("GetItem", "Scan", "Query", "BatchGetItem")
_WRITE = ("PutItem", "UpdateItem", "BatchWriteItem")

#: Policy template -> (actions on items, suffixes of the table's ARN on which it grants them).
ON_ITEMS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "DynamoDBCrudPolicy": ((*_READ, *_WRITE, "DeleteItem", "ConditionCheckItem"), _ALL),
    "DynamoDBReadPolicy": (_READ, _ALL),
    "DynamoDBWritePolicy": (_WRITE, _ALL),
    "DynamoDBRestoreFromBackupPolicy": (
        ("PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query", "Scan", "BatchWriteItem"),
        _TABLE,
    ),
    "DynamoDBStreamReadPolicy": (("GetRecords",), ("/stream/*",)),
}
#: Policy templates that grant nothing on items.
WITHOUT_ITEMS = frozenset(
    """
    AMIDescribePolicy AWSSecretsManagerGetSecretValuePolicy AWSSecretsManagerRotationPolicy AcmGetCertificatePolicy
    AthenaQueryPolicy CloudFormationDescribeStacksPolicy CloudWatchDashboardPolicy CloudWatchDescribeAlarmHistoryPolicy
    CloudWatchPutMetricPolicy CodeCommitCrudPolicy CodeCommitReadPolicy CodePipelineLambdaExecutionPolicy
    CodePipelineReadOnlyPolicy ComprehendBasicAccessPolicy CostExplorerReadOnlyPolicy DynamoDBBackupFullAccessPolicy
    DynamoDBReconfigurePolicy EC2CopyImagePolicy EC2DescribePolicy EFSWriteAccessPolicy EKSDescribePolicy EcsRunTaskPolicy
    ElasticMapReduceAddJobFlowStepsPolicy ElasticMapReduceCancelStepsPolicy ElasticMapReduceModifyInstanceFleetPolicy
    ElasticMapReduceModifyInstanceGroupsPolicy ElasticMapReduceSetTerminationProtectionPolicy
    ElasticMapReduceTerminateJobFlowsPolicy ElasticsearchHttpPostPolicy EventBridgePutEventsPolicy FilterLogEventsPolicy
    FirehoseCrudPolicy FirehoseWritePolicy KMSDecryptPolicy KMSEncryptPolicy KMSEncryptPolicy_v2 KinesisCrudPolicy
    KinesisStreamReadPolicy LambdaInvokePolicy MobileAnalyticsWriteOnlyAccessPolicy OrganizationsListAccountsPolicy
    PinpointEndpointAccessPolicy PollyFullAccessPolicy RekognitionDetectOnlyPolicy RekognitionFacesManagementPolicy
    RekognitionFacesPolicy RekognitionLabelsPolicy RekognitionNoDataAccessPolicy RekognitionReadPolicy
    RekognitionWriteOnlyAccessPolicy Route53ChangeResourceRecordSetsPolicy S3CrudPolicy S3FullAccessPolicy S3ReadPolicy
    S3WritePolicy SESBulkTemplatedCrudPolicy SESBulkTemplatedCrudPolicy_v2 SESCrudPolicy SESEmailTemplateCrudPolicy
    SESSendBouncePolicy SNSCrudPolicy SNSPublishMessagePolicy SQSPollerPolicy SQSSendMessagePolicy SSMParameterReadPolicy
    SSMParameterWithSlashPrefixReadPolicy SageMakerCreateEndpointConfigPolicy SageMakerCreateEndpointPolicy
    ServerlessRepoReadWriteAccessPolicy StepFunctionsCallbackPolicy StepFunctionsExecutionPolicy
    StepFunctionsExecutionPolicy_v2 TextractDetectAnalyzePolicy TextractGetResultPolicy TextractPolicy VPCAccessPolicy
    """.split()  # noqa: SIM905 - 70 names are read better so
)

#: The managed policy that SAM adds to the role of a function that reads a table's stream.
STREAM_POLICY = "arn:aws:iam::aws:policy/service-role/AWSLambdaDynamoDBExecutionRole"
STREAM_EVENT = "DynamoDB"
#: Events that add no access to items.
OTHER_EVENTS = frozenset(
    {
        "S3",
        "SNS",
        "SQS",
        "Kinesis",
        "MSK",
        "MQ",
        "SelfManagedKafka",
        "DocumentDB",
        "Api",
        "HttpApi",
        "Schedule",
        "ScheduleV2",
        "CloudWatchEvent",
        "EventBridgeRule",
        "CloudWatchLogs",
        "IoTRule",
        "AlexaSkill",
        "Cognito",
    }
)
