"""Reading the roles of the platform's functions: policies, boundaries, and documents that cannot be understood."""

import json
from urllib.parse import quote

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.role_policies import TablePolicy, read_managed_policy, read_roles, read_table_policies
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import ReadingSettings

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}]}
ARN = "arn:aws:iam::111122223333:policy/mine"


@pytest.fixture
def stubbed():
    """A reader and the stubber of its IAM client."""
    reader = AwsReader(ReadingSettings(), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("iam")) as stubber:
        yield reader, stubber


def answer(document=None):
    text = quote(json.dumps(DOCUMENT)) if document is None else document
    versions = [{"VersionId": "v1", "IsDefaultVersion": False, "Document": "{}"}, {"IsDefaultVersion": True, "Document": text}]
    return {
        "RoleDetailList": [
            {
                "RoleName": "cc-native-fn",
                "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": text}],
                "AttachedManagedPolicies": [{"PolicyName": "mine", "PolicyArn": ARN}],
                "PermissionsBoundary": {"PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": ARN},
            },
            {"RoleName": "somebody-else"},
        ],
        "Policies": [{"PolicyName": "mine", "Arn": ARN, "PolicyVersionList": versions}],
    }


def test_wanted_roles_come_with_inline_and_attached_policies_and_boundary(stubbed):
    reader, stubber = stubbed
    stubber.add_response(
        "get_account_authorization_details", answer(), {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": 1000}
    )
    (role,), documents, reads = read_roles(reader, lambda name: name.startswith("cc-native-"))
    assert (role.name, role.attached, role.boundary) == ("cc-native-fn", (ARN,), ARN)
    assert role.inline == (("own", DOCUMENT),)
    assert documents == {ARN: DOCUMENT}
    assert [read.status for read in reads] == [ReadStatus.OK]


def test_a_document_that_is_no_policy_makes_the_read_invalid(stubbed):
    reader, stubber = stubbed
    stubber.add_response("get_account_authorization_details", answer("not json"))
    _, _, (read,) = read_roles(reader, lambda _: True)
    assert read.status is ReadStatus.INVALID


def test_a_denied_call_is_said(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("get_account_authorization_details", "AccessDenied", "no")
    roles, _, (read,) = read_roles(reader, lambda _: True)
    assert (roles, read.status) == ([], ReadStatus.DENIED)


AWS_ARN = "arn:aws:iam::aws:policy/job-function/DatabaseAdministrator"


def policy_answers(stubber, arn, document=DOCUMENT):
    stubber.add_response("get_policy", {"Policy": {"Arn": arn, "DefaultVersionId": "v7"}}, {"PolicyArn": arn})
    version = {"PolicyVersion": {"Document": quote(json.dumps(document)) if isinstance(document, dict) else document}}
    stubber.add_response("get_policy_version", version, {"PolicyArn": arn, "VersionId": "v7"})


def test_a_managed_policy_is_had_in_its_default_version(stubbed):
    reader, stubber = stubbed
    policy_answers(stubber, AWS_ARN)
    document, reads = read_managed_policy(reader, [AWS_ARN])
    assert document == DOCUMENT
    assert [(read.operation, read.status) for read in reads] == [
        ("iam:GetPolicy", ReadStatus.OK),
        ("iam:GetPolicyVersion", ReadStatus.OK),
    ]


def test_a_policy_by_name_alone_is_looked_for_where_aws_keeps_policies(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("get_policy", "NoSuchEntity", "not found", 404)
    policy_answers(stubber, AWS_ARN)
    document, reads = read_managed_policy(reader, ["arn:aws:iam::aws:policy/DatabaseAdministrator", AWS_ARN])
    assert document == DOCUMENT
    assert {read.status for read in reads} == {ReadStatus.OK}  # that it is not there is an answer
    assert reader.meter.failures == {}


def test_a_policy_that_is_nowhere_is_no_failure_and_one_that_may_not_be_read_is(stubbed):
    reader, stubber = stubbed
    stubber.add_client_error("get_policy", "NoSuchEntity", "not found", 404)
    document, reads = read_managed_policy(reader, [AWS_ARN])
    assert (document, [read.status for read in reads]) == (None, [ReadStatus.OK])
    stubber.add_client_error("get_policy", "AccessDenied", "no", 403)
    document, reads = read_managed_policy(reader, [AWS_ARN])
    assert (document, [read.status for read in reads]) == (None, [ReadStatus.DENIED])
    policy_answers(stubber, AWS_ARN, "no json")
    document, reads = read_managed_policy(reader, [AWS_ARN])
    assert (document, reads[-1].status) == (None, ReadStatus.INVALID)


TABLE_ARN = "arn:aws:dynamodb:us-west-2:111122223333:table/t"
STREAM_ARN = f"{TABLE_ARN}/stream/2026-01-01T00:00:00.000"


@pytest.fixture
def tables():
    """A reader and the stubber of its DynamoDB client."""
    reader = AwsReader(ReadingSettings(), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("dynamodb")) as stubber:
        yield reader, stubber


def test_a_table_and_its_stream_have_policies_of_their_own(tables):
    reader, stubber = tables
    stubber.add_response("describe_table", {"Table": {"TableArn": TABLE_ARN, "LatestStreamArn": STREAM_ARN}}, {"TableName": "t"})
    stubber.add_response("get_resource_policy", {"Policy": "table's"}, {"ResourceArn": TABLE_ARN})
    stubber.add_response("get_resource_policy", {"Policy": "stream's"}, {"ResourceArn": STREAM_ARN})
    policies, reads = read_table_policies(reader, ["t"])
    assert policies == [TablePolicy("t", "table's"), TablePolicy("t", "stream's", of_stream=True)]
    assert [read.status for read in reads] == [ReadStatus.OK] * 3


def test_a_table_without_a_policy_or_without_being_there_has_none(tables):
    reader, stubber = tables
    stubber.add_response("describe_table", {"Table": {"TableArn": TABLE_ARN}})
    stubber.add_client_error("get_resource_policy", "PolicyNotFoundException", "none", 400)
    policies, reads = read_table_policies(reader, ["t"])
    assert (policies, [read.status for read in reads]) == ([], [ReadStatus.OK, ReadStatus.OK])
    assert reader.meter.failures == {}
    stubber.add_client_error("describe_table", "ResourceNotFoundException", "no table", 400)
    assert read_table_policies(reader, ["gone"]) == ([], [])


@pytest.mark.parametrize("operation", ["describe_table", "get_resource_policy"])
def test_a_table_whose_policy_may_not_be_read_is_said(tables, operation):
    reader, stubber = tables
    if operation == "get_resource_policy":
        stubber.add_response("describe_table", {"Table": {"TableArn": TABLE_ARN}})
    stubber.add_client_error(operation, "AccessDeniedException", "no", 400)
    policies, reads = read_table_policies(reader, ["t"])
    assert (policies, reads[-1].status) == ([], ReadStatus.DENIED)
