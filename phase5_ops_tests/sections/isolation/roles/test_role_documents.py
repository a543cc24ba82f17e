"""Deployed roles with all that grants them something: managed policies from IAM, and the policies of tables."""

import json
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber
from moto.iam.aws_managed_policies import aws_managed_policies_data

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.role_policies import RoleAnswer, TablePolicy
from phase5_ops.policy import IsolationPolicy
from phase5_ops.sections.isolation.roles import assets as iam_assets
from phase5_ops.sections.isolation.roles.assets import gather_role_access
from phase5_ops.sections.isolation.roles.evidence import RolePolicies, Universe, role_access
from phase5_ops.sections.isolation.roles.judge import judge_iam_scope
from phase5_ops.sections.isolation.roles.managed_policies import arns_to_ask, known_policy
from phase5_ops.sections.isolation.roles.role_documents import deployed_role, with_documents, with_table_policies
from phase5_ops.settings import ReadingSettings, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.isolation.harness.support import NOW, codes
from phase5_ops_tests.sections.isolation.roles.templates import (
    KEYLESS,
    NOT_JUDGED,
    UNSCOPED,
    allow,
    bound,
    deny,
    document,
    role,
    template,
)

ACCOUNT = "111122223333"
UNIVERSE = Universe(["cc-native-ledger", "cc-native-notes"], "us-west-2", ACCOUNT)
NEW = "arn:aws:iam::aws:policy/AWSNewPolicy"
BOUND = RolePolicies("fn", (("own", document(allow("dynamodb:GetItem", "*", Condition=bound()["Condition"]))),))


def said(roles, table=None):
    return {
        (row.role, row.code or row.result) for row in role_access(roles, UNIVERSE) if table is None or row.table in ("", table)
    }


def test_a_managed_policy_is_known_by_its_document_or_its_name_or_not_judged():
    answer = RoleAnswer(
        "fn",
        [("own", document(bound()))],
        ["arn:aws:iam::1:policy/mine", NEW, "arn:aws:iam::aws:policy/AdministratorAccess"],
        None,
    )
    found = deployed_role(answer, {"arn:aws:iam::1:policy/mine": document(allow())})
    assert [name for name, _ in found.policies] == ["own", "mine", "AdministratorAccess"]
    assert found.unknown == (NEW,)
    assert ("fn", NOT_JUDGED) in said([found])


def test_a_document_from_iam_counts_whole_and_a_failed_read_is_named():
    unknown = RolePolicies("fn", BOUND.policies, unknown=(NEW, "arn:aws:iam::1:policy/other"))
    found = with_documents(unknown, {NEW: document(allow())}, {"arn:aws:iam::1:policy/other": "iam:GetPolicy denied"})
    assert said([found]) >= {("fn", UNSCOPED), ("fn", KEYLESS), ("fn", NOT_JUDGED)}
    assert found.unknown == ("arn:aws:iam::1:policy/other (iam:GetPolicy denied)",)
    wide = RolePolicies("fn", (("own", document(allow())),), unknown=(NEW,))
    assert said([with_documents(wide, {NEW: document(deny())}, {})]) == set()
    assert ("fn", UNSCOPED) in said([with_documents(wide, {NEW: document(deny())}, {}, attached=False)])


def test_what_a_document_has_that_no_policy_has_is_named():
    answer = RoleAnswer(
        "fn", [("own", {**document(bound()), "Rules": []}), ("odd", document({**allow(), "Effect": "Permit"}))], [], None
    )
    assert deployed_role(answer, {}).unknown == ("own: Rules", "odd: Effect permit")


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (NEW, [NEW]),
        ("arn:*:iam::aws:policy/AWSNewPolicy", [NEW]),
        ("arn:aws:iam::1:policy/path/mine", ["arn:aws:iam::1:policy/path/mine"]),
        (
            "AWSNewPolicy",
            [NEW, "arn:aws:iam::aws:policy/service-role/AWSNewPolicy", "arn:aws:iam::aws:policy/job-function/AWSNewPolicy"],
        ),
        ("arn:aws:iam::*:policy/mine", []),
        ("Fn::Transform AWS::Include s3://b/x", []),
        ("p: Ref X as statement", []),
    ],
)
def test_iam_is_asked_for_policies_only(reference, expected):
    assert arns_to_ask(reference) == expected
    assert arns_to_ask(reference, "aws-cn") == [arn.replace("arn:aws:", "arn:aws-cn:") for arn in expected]


def test_no_policy_is_harmless_for_being_unheard_of():
    assert known_policy(NEW) is None
    assert known_policy("arn:aws:iam::1:policy/AWSLambdaBasicExecutionRole") is None  # a customer's own of that name
    assert known_policy("arn:aws-cn:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole") == {"Statement": []}


@pytest.fixture(scope="module")
def of_aws():
    """The managed policies of AWS as moto ships them: name -> document."""
    return {name: entry["Document"] for name, entry in json.loads(aws_managed_policies_data).items()}


def test_what_is_known_by_name_is_what_the_documents_of_aws_grant(of_aws):
    asked = [name for name in of_aws if known_policy(name) is not None]
    assert len(asked) > 40
    for name in asked:
        by_name, by_document = (RolePolicies("fn", (("p", content),)) for content in (known_policy(name), of_aws[name]))
        short = Universe(["cc-native-ledger"])
        assert role_access([by_name], short) == role_access([by_document], short), name


def test_no_document_of_aws_has_what_is_not_understood(of_aws):
    for name, content in of_aws.items():
        assert deployed_role(RoleAnswer("fn", [(name, content)], [], None), {}).unknown == (), name


def of_table(*statements, table="cc-native-ledger", of_stream=False):
    return TablePolicy(table, json.dumps(document(*statements)), of_stream)


def to(principal, **more):
    return {**allow(), "Principal": principal, **more}


@pytest.mark.parametrize(
    ("principal", "holders"),
    [
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/path/fn"}, {"fn"}),
        ({"AWS": [f"arn:aws:iam::{ACCOUNT}:role/fn", f"arn:aws:iam::{ACCOUNT}:role/gn"]}, {"fn", "gn"}),
        ("*", {"fn", "gn", "any principal (*)"}),
        ({"AWS": "*"}, {"fn", "gn", "any principal (*)"}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, set()),
        ({"AWS": ACCOUNT}, set()),
        ({"AWS": "arn:aws:iam::999999999999:role/fn"}, {"arn:aws:iam::999999999999:role/fn"}),
        ({"AWS": "999999999999"}, {"999999999999"}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:role/admin"}, {f"arn:aws:iam::{ACCOUNT}:role/admin"}),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"}, {f"arn:aws:iam::{ACCOUNT}:user/ann"}),
        ({"Service": "glue.amazonaws.com"}, {"Service glue.amazonaws.com"}),
        ({"Federated": "cognito-identity.amazonaws.com"}, {"Federated cognito-identity.amazonaws.com"}),
    ],
)
def test_a_tables_policy_counts_for_those_whom_it_names(principal, holders):
    roles = with_table_policies([BOUND, RolePolicies("gn", ())], [of_table(to(principal))], ACCOUNT)
    assert {name for name, code in said(roles) if code == UNSCOPED} == holders


def test_a_tables_policy_reaches_that_table_only_and_a_streams_policy_its_stream():
    roles = with_table_policies([BOUND], [of_table(to("*"))], ACCOUNT)
    assert ("fn", "bound") in said(roles, "cc-native-notes")
    roles = with_table_policies([BOUND], [of_table(to("*"), of_stream=True)], ACCOUNT)
    (row,) = (row for row in role_access(roles, UNIVERSE) if row.role == "fn" and row.code)
    assert (row.code, row.actions) == (KEYLESS, ("GetRecords",))


def test_a_deny_of_a_tables_policy_takes_away_from_those_whom_it_names():
    wide = RolePolicies("fn", (("own", document(allow("dynamodb:GetItem"))),))
    denying = {**deny(), "Principal": "*"}
    assert ("fn", UNSCOPED) not in said(with_table_policies([wide], [of_table(denying)], ACCOUNT), "cc-native-ledger")
    other = {**denying, "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/gn"}}
    assert ("fn", UNSCOPED) in said(with_table_policies([wide], [of_table(other)], ACCOUNT), "cc-native-ledger")
    conditional = {**denying, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    assert ("fn", UNSCOPED) in said(with_table_policies([wide], [of_table(conditional)], ACCOUNT), "cc-native-ledger")


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"Version": "2012-10-17"}', '{"Statement": ["x"]}'])
def test_a_tables_policy_that_is_not_understood_is_named(text):
    roles = with_table_policies([BOUND], [TablePolicy("cc-native-ledger", text)], ACCOUNT)
    assert ("table cc-native-ledger", NOT_JUDGED) in said(roles)


# Gathering


def platform(reader, **isolation):
    settings = load_settings()
    policy = settings.isolation.model_copy(update=isolation)
    return SimpleNamespace(
        settings=settings.model_copy(update={"isolation": policy}), reader=reader, account=ACCOUNT, now=lambda: NOW
    )


@pytest.fixture
def aws():
    """A reader, and the stubbers of its IAM and DynamoDB."""
    reader = AwsReader(ReadingSettings(), session=boto3.Session("test", "test", region_name="us-west-2"))
    with Stubber(reader.client("iam")) as iam, Stubber(reader.client("dynamodb")) as dynamodb:
        yield reader, iam, dynamodb


def in_iam(iam, *attached):
    details = {
        "RoleName": "cc-native-fn",
        "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": json.dumps(BOUND.policies[0][1])}],
        "AttachedManagedPolicies": [{"PolicyName": arn.rsplit("/", 1)[-1], "PolicyArn": arn} for arn in attached],
    }
    iam.add_response("get_account_authorization_details", {"RoleDetailList": [details], "Policies": []})


def judged(table):
    return codes(judge_iam_scope(table, policy=IsolationPolicy(iam_blocks=True)))


LEDGER = {"iam_tables": ("cc-native-ledger",)}


def no_table_policy(dynamodb):
    arn = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/cc-native-ledger"
    dynamodb.add_response("describe_table", {"Table": {"TableArn": arn}})
    dynamodb.add_client_error("get_resource_policy", "PolicyNotFoundException", "none", 400)


def test_deployed_roles_are_judged_with_the_policies_that_iam_has(aws):
    reader, iam, dynamodb = aws
    in_iam(iam, NEW)
    iam.add_response("get_policy", {"Policy": {"DefaultVersionId": "v1"}}, {"PolicyArn": NEW})
    iam.add_response("get_policy_version", {"PolicyVersion": {"Document": json.dumps(document(allow("dynamodb:GetItem")))}})
    no_table_policy(dynamodb)
    assert judged(gather_role_access(platform(reader, **LEDGER), {})) == {("FAIL", UNSCOPED)}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("NoSuchEntity", {("INCONCLUSIVE", NOT_JUDGED)}),
        ("AccessDenied", {("ERROR", "read_failed"), ("INCONCLUSIVE", NOT_JUDGED)}),
    ],
)
def test_a_managed_policy_that_cannot_be_had_is_not_judged(aws, error, expected):
    reader, iam, dynamodb = aws
    in_iam(iam, NEW)
    iam.add_client_error("get_policy", error, "no", 400)
    no_table_policy(dynamodb)
    assert judged(gather_role_access(platform(reader, **LEDGER), {})) == expected


def test_a_table_whose_policy_cannot_be_read_is_an_error_and_one_that_opens_it_a_failure(aws):
    reader, iam, dynamodb = aws
    arn = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/cc-native-ledger"
    in_iam(iam)
    dynamodb.add_response("describe_table", {"Table": {"TableArn": arn}})
    dynamodb.add_client_error("get_resource_policy", "AccessDeniedException", "no", 400)
    assert judged(gather_role_access(platform(reader, **LEDGER), {})) == {("ERROR", "read_failed")}
    in_iam(iam)
    policy = json.dumps(document(to({"AWS": f"arn:aws:iam::{ACCOUNT}:role/cc-native-fn"}, Action="dynamodb:GetItem")))
    dynamodb.add_response("get_resource_policy", {"Policy": policy}, {"ResourceArn": arn})
    assert judged(gather_role_access(platform(reader, **LEDGER), {})) == {("FAIL", UNSCOPED)}


def test_a_template_of_which_only_a_part_could_be_read_is_an_error(aws, tmp_path, monkeypatch):
    path = tmp_path / "template.json"
    path.write_text(template({}))
    monkeypatch.setattr(iam_assets, "_MAX_TEMPLATE_BYTES", path.stat().st_size - 1)
    found = judged(gather_role_access(platform(aws[0], iam_template=str(path), **LEDGER), {}))
    assert ("ERROR", "read_failed") in found


def test_a_template_is_judged_with_the_managed_policies_that_iam_has(aws, tmp_path):
    reader, iam, _ = aws
    path = tmp_path / "template.json"
    path.write_text(template({"Worker": role(bound(), ManagedPolicyArns=[NEW])}))
    iam.add_response("get_policy", {"Policy": {"DefaultVersionId": "v1"}}, {"PolicyArn": NEW})
    iam.add_response("get_policy_version", {"PolicyVersion": {"Document": json.dumps(document(allow("dynamodb:GetItem")))}})
    assert judged(gather_role_access(platform(reader, iam_template=str(path), **LEDGER), {})) == {("FAIL", UNSCOPED)}
    iam.add_client_error("get_policy", "AccessDenied", "no", 403)
    table = gather_role_access(platform(reader, iam_template=str(path), **LEDGER), {})
    (finding,) = judge_iam_scope(table, policy=IsolationPolicy(iam_blocks=True)).findings
    assert (finding.verdict, finding.code) == (Verdict.INCONCLUSIVE, NOT_JUDGED)
    assert "AWSNewPolicy (iam:GetPolicy denied)" in finding.seen
