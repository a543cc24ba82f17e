"""Types of a template's resources, by their effect on roles. Plain data."""

from phase5_ops.sections.isolation.roles.templates import sam

TABLES = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable")
ATTACHED = ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy")
JUDGED = ("AWS::IAM::Role", *ATTACHED, *TABLES, *sam.WITH_ROLES)
#: Other resources that run under a role, and the property that names it.
ROLE_OF = {
    "AWS::Lambda::Function": "Role",
    "AWS::StepFunctions::StateMachine": "RoleArn",
    "AWS::Pipes::Pipe": "RoleArn",
    "AWS::AppSync::DataSource": "ServiceRoleArn",
    "AWS::ECS::TaskDefinition": "TaskRoleArn",
}
#: Resources that make others outside this template, and the property that names them; `...::MODULE` types do so too.
MAKERS = {
    "AWS::CloudFormation::Stack": "TemplateURL",
    "AWS::CloudFormation::StackSet": "TemplateURL",
    "AWS::Serverless::Application": "Location",
    "AWS::Serverless::Connector": "Destination",
    "AWS::Serverless::GraphQLApi": "DataSources",
    "AWS::SSO::PermissionSet": "Name",
    "AWS::ServiceCatalog::CloudFormationProvisionedProduct": "ProductName",
}
#: Resources that a function of the account makes, whatever that is.
CUSTOM = ("Custom::", "AWS::CloudFormation::CustomResource")
ROLE_PROPERTIES = frozenset(
    {
        "AssumeRolePolicyDocument",
        "Description",
        "ManagedPolicyArns",
        "MaxSessionDuration",
        "Path",
        "PermissionsBoundary",
        "Policies",
        "RoleName",
        "Tags",
    }
)
IAM_WITHOUT_ROLES = frozenset(
    {
        "AccessKey",
        "Group",
        "GroupPolicy",
        "InstanceProfile",
        "OIDCProvider",
        "SAMLProvider",
        "ServerCertificate",
        "ServiceLinkedRole",
        "User",
        "UserPolicy",
        "UserToGroupAddition",
        "VirtualMFADevice",
    }
)
