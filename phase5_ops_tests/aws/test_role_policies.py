"""Reading the roles of the platform's functions: policies, boundaries, and documents that cannot be understood."""

import json
from urllib.parse import quote

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.role_policies import read_roles
from phase5_ops.reads import ReadStatus
from phase5_ops.settings import Reading

DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}]}
ARN = "arn:aws:iam::111122223333:policy/mine"


@pytest.fixture
def stubbed():
    """A reader and the stubber of its IAM client."""
    reader = AwsReader(Reading(), session=boto3.Session("test", "test", region_name="us-west-2"))
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
    stubber.add_response("get_account_authorization_details", answer(), {"Filter": ["Role", "LocalManagedPolicy"]})
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
