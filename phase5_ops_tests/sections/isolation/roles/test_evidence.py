"""Roles asked offline as IAM would be asked: what is let through beyond the caller's tenant, and the known traps."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.evidence.table import NoFacts
from phase5_ops.policy import IamException, IsolationPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.roles import evidence as roles_evidence
from phase5_ops.sections.isolation.roles.evidence import (
    KEYED_ACTIONS,
    ROLE_ACCESS,
    UNKNOWN,
    RoleAccess,
    RolePolicies,
    Universe,
    role_access,
)
from phase5_ops.sections.isolation.roles.judge import judge_iam_scope
from phase5_ops.sections.isolation.roles.managed_policies import known_policy
from phase5_ops.sections.isolation.roles.template import UnreadableTemplate, read_template
from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.isolation.harness.support import NOW, codes

pytestmark = pytest.mark.slow

TABLE = "cc-native-ledger"
UNIVERSE = Universe([TABLE], "us-west-2", "111122223333")
ARN = f"arn:aws:dynamodb:us-west-2:111122223333:table/{TABLE}"
BOTH = [ARN, f"{ARN}/index/*"]
TAG = "${aws:PrincipalTag/tenant_id}"
WHOLE = [f"TENANT#{TAG}", f"TENANT#{TAG}#*"]
KEYED = [f"dynamodb:{action}" for action in KEYED_ACTIONS if not action.startswith("PartiQL")]


def statement(actions="dynamodb:GetItem", resources=None, *, effect="Allow", **more):
    return {"Effect": effect, "Action": actions, "Resource": resources or BOTH, **more}


def leading(values, operator="ForAllValues:StringLike"):
    return {"Condition": {operator: {"dynamodb:LeadingKeys": values}}}


def found(*statements, version="2012-10-17", boundary=None, exceptions=()):
    """Codes of the role's violations."""
    document = {"Version": version, "Statement": list(statements)}
    role = RolePolicies("fn", (("inline", document),), boundary, has_boundary=boundary is not None)
    return {row.code for row in role_access([role], UNIVERSE, exceptions) if row.result == "violation"}


conditions = roles_evidence._conditions
UNSCOPED, KEYLESS, PREFIX, BATCH = "iam_access_unscoped", "iam_keyless_access", "iam_prefix_pattern", "iam_batch_unbound"


def test_access_bound_to_whole_segments_of_the_callers_tenant_is_fine():
    assert found(statement(KEYED, **leading(WHOLE))) == set()
    assert found(statement(KEYED, **leading([f"TENANT#{TAG}"], "ForAllValues:StringEquals"))) == set()
    assert found(statement("dynamodb:Query", [ARN, f"{ARN}/index/by-status"], **leading(WHOLE))) == set()


def test_a_condition_is_worked_out_once_however_many_tables_it_is_about(monkeypatch):
    worked_out = []
    monkeypatch.setattr(roles_evidence, "_conditions", lambda *asked: worked_out.append(asked) or conditions(*asked))
    anything = statement(KEYED, "*", **leading([*WHOLE, "TENANT#other*"]))

    def rows_of(tables: int) -> tuple[int, list[RoleAccess]]:
        worked_out.clear()
        role = RolePolicies("fn", (("inline", {"Version": "2012-10-17", "Statement": [anything]}),), {"Statement": [anything]})
        rows = role_access([role], Universe([f"table-{number}" for number in range(tables)]))
        return len(worked_out), rows

    (once, (row, *_)), (times, rows) = rows_of(1), rows_of(5)
    assert once == times > 0
    assert rows[:5] == [replace(row, table=f"table-{number}") for number in range(5)]


def test_a_deny_of_one_index_says_nothing_of_the_others():
    deny = statement("dynamodb:*", [ARN, f"{ARN}/index/gsi1-index"], effect="Deny")
    assert found(statement("dynamodb:Query"), deny) == {UNSCOPED}
    assert found(statement("dynamodb:Query", [f"{ARN}/index/gsi1-index"]), deny) == set()


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (statement(), {UNSCOPED}),
        (statement("dynamodb:*"), {UNSCOPED, KEYLESS}),
        (statement("*", ["*"]), {UNSCOPED, KEYLESS}),
        (statement("DynamoDB:getitem"), {UNSCOPED}),  # actions know no case
        (statement("dynamodb:Query", [f"{ARN}/index/*"]), {UNSCOPED}),  # an index alone is enough
        (statement("dynamodb:Query", [f"{ARN}/index/by-status"]), {UNSCOPED}),  # whatever it is called
        (statement("dynamodb:Query", ["*/index/by-*"]), {UNSCOPED}),
        (statement("dynamodb:GetRecords", [f"{ARN}/stream/2025-05-05T05:05:05.555"]), {KEYLESS}),
        (statement(resources=["arn:aws:dynamodb:*:*:table/cc-native-*"]), {UNSCOPED}),
        (statement(resources=[f"arn:aws:dynamodb:us-west-2:*:table/{TABLE}"]), {UNSCOPED}),
        (statement(**leading([f"TENANT#{TAG}*"])), {PREFIX}),  # acme* fits acme-eu
        *((statement(**leading([f"TENANT#{name}"])), {UNSCOPED}) for name in ("acme", "zeta", "acme-eu", "ACME", "tenant-a")),
        (statement(**leading([f"TENANT#{TAG.replace('}', ', acme}')}"])), {UNSCOPED}),  # of callers without the tag
        (statement(**leading([f"TENANT#{TAG}"], "ForAllValues:StringEqualsIgnoreCase")), {PREFIX}),
        (statement(**leading(["TENANT#*"])), {UNSCOPED}),
        (statement(**leading(["*"])), {UNSCOPED}),
        (statement(**leading(["TENANT#${aws:userid}"])), {UNSCOPED}),  # not the tenant
        (statement("dynamodb:Scan", **leading(WHOLE)), {KEYLESS}),  # LeadingKeys is absent, ForAllValues is true
        (statement("dynamodb:PartiQLSelect", **leading(WHOLE)), {KEYLESS}),
        (statement("dynamodb:GetRecords", [f"{ARN}/stream/*"], **leading(WHOLE)), {KEYLESS}),
        (statement("dynamodb:BatchGetItem", **leading(WHOLE, "ForAnyValue:StringLike")), {BATCH}),
        (statement(**leading(WHOLE, "ForAllValues:StringLikeIfExists")), set()),
        (statement("dynamodb:Scan", **leading(WHOLE, "ForAnyValue:StringLikeIfExists")), {KEYLESS}),
        (statement("dynamodb:Scan", **leading(WHOLE, "ForAnyValue:StringLike")), set()),  # false where the key is absent
        (statement(Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}}), {UNSCOPED}),  # says nothing of tenants
        (statement(Condition={"StringEquals": {"aws:PrincipalTag/tenant_id": "acme-corp"}}), {UNSCOPED}),
        (statement(**leading(WHOLE, "ForAllValues:NoSuchOperator")), {UNSCOPED}),
        (statement(**leading([f"TENANT#{UNKNOWN}"])), {UNSCOPED}),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, {UNSCOPED, KEYLESS}),
        ({"Effect": "Allow", "NotAction": ["dynamodb:*"], "Resource": "*"}, {"iam_way_around"}),
        ({"Effect": "Allow", "Action": "dynamodb:GetItem", "NotResource": "arn:aws:s3:::x"}, {UNSCOPED}),
        ({"Effect": "Allow", "Action": "dynamodb:GetItem", "NotResource": ARN}, set()),
        (statement(resources=["arn:aws:dynamodb:us-west-2:111122223333:table/other"]), set()),
        (statement("dynamodb:DescribeTable"), set()),
        (statement("s3:*"), set()),
        (statement([UNKNOWN]), {UNSCOPED, KEYLESS}),
        (statement(resources=[UNKNOWN]), {UNSCOPED}),
    ],
)
def test_a_statement_is_read_as_iam_reads_it(one, expected):
    assert found(one) == expected


GLOBEX = "TENANT#globex"
DEFAULTED = "${aws:PrincipalTag/tenant_id, '%s'}"


@pytest.mark.parametrize(
    "values",
    [
        ["TENANT#globex"],
        ["TENANT#globex#*"],
        [*WHOLE, "TENANT#globex"],
        ["TENANT#glob*"],
        ["TENANT#gl?bex"],
        ["TENANT#globex#ACCOUNT#1"],
        ["ACCOUNT#globex#*"],
        ["SIGNAL#globex#1"],
        ["USER#1#TENANT#globex"],
        ["globex"],
        [TAG, "globex"],
        ["TENANT#" + DEFAULTED % "globex"],
        ["TENANT#" + DEFAULTED % "*"],
        ["TENANT#" + DEFAULTED % "*" + "#*"],
        [DEFAULTED % "globex"],
        ["${aws:PrincipalTag/tenant_id,'*'}"],
        [*WHOLE, "TENANT#${aws:principaltag/Tenant_Id , 'a*'}"],
    ],
)
@pytest.mark.parametrize("operator", ["ForAllValues:StringLike", "StringLike", "ForAnyValue:StringLike"])
def test_a_literal_tenant_and_a_variable_with_a_default_are_let_in_whoever_calls(values, operator):
    assert UNSCOPED in found(statement(**leading(values, operator)))


@pytest.mark.parametrize("values", [["TENANT#globex"], ["TENANT#" + DEFAULTED % "globex"]])
def test_the_reason_names_the_key(values):
    role = RolePolicies("fn", (("inline", {"Version": "2012-10-17", "Statement": statement(**leading(values))}),))
    (row,) = role_access([role], UNIVERSE)
    assert "TENANT#globex" in row.reason


@pytest.mark.parametrize(
    ("one", "deny"),
    [
        (statement(**leading(["AUTO_EXEC_STATE", "ACTION_TYPE#x", "TRACE#*", *WHOLE])), None),  # no tenants
        (statement(**leading(["TENANT#" + TAG, "TENANT#"])), None),
        (statement(**leading(["TENANT#" + DEFAULTED % "AUTO"], "ForAllValues:StringNotLike")), None),
        (
            statement(**leading(["TENANT#globex"])),
            statement(effect="Deny", **leading(["TENANT#globex"], "ForAnyValue:StringLike")),
        ),
        (
            statement(
                Condition={
                    "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["TENANT#" + DEFAULTED % "globex"]},
                    "Null": {"aws:PrincipalTag/tenant_id": "false"},  # who has no tag is not let in
                }
            ),
            None,
        ),
    ],
)
def test_what_names_no_tenant_or_is_refused_elsewhere_is_no_literal_tenant(one, deny):
    names = {row.reason for row in role_access([RolePolicies("fn", (("i", document(one, deny)),))], UNIVERSE)}
    assert not any("by name" in name or "without a tenant tag" in name for name in names)


def test_a_default_in_a_deny_that_lets_callers_without_tag_through():
    deny = statement("dynamodb:*", ["*"], effect="Deny", **leading(["TENANT#" + DEFAULTED % "*"], "ForAnyValue:StringNotLike"))
    assert found(statement(KEYED), deny) == {UNSCOPED}


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        ("ForAnyValue:StringNotLike", [*WHOLE, "TENANT#globex"]),
        ("ForAnyValue:StringNotLike", [*WHOLE, "TENANT#glob*"]),
        ("ForAllValues:StringNotEquals", [TAG, "globex"]),
        ("ForAnyValue:StringNotEquals", ["TENANT#" + DEFAULTED % "globex"]),
        ("ForAnyValue:StringNotLike", [*WHOLE, "ACCOUNT#" + DEFAULTED % "globex" + "#*"]),
    ],
)
def test_another_tenant_that_a_deny_spares_is_let_in(operator, values):
    assert found(statement(), statement("dynamodb:*", ["*"], effect="Deny", **leading(values, operator))) == {UNSCOPED}


@pytest.mark.parametrize("values", [[*WHOLE, "TENANT#globex"], ["TENANT#" + DEFAULTED % "globex"]])
def test_another_tenant_that_only_the_boundary_names_is_let_in(values):
    boundary = document(statement("dynamodb:*", ["*"], **leading(values)))
    assert found(statement(), boundary=boundary) == {UNSCOPED}
    assert found(statement(**leading(WHOLE)), boundary=boundary) == set()  # a boundary grants nothing


def test_an_index_that_a_deny_spares_or_the_boundary_names_is_let_in():
    spared = {"Effect": "Deny", "Action": "dynamodb:*", "NotResource": f"{ARN}/index/by-status"}
    boundary = document(statement("dynamodb:Query", [f"{ARN}/index/by-status"]))
    assert found(statement("dynamodb:Query"), spared) == {UNSCOPED}
    assert found(statement("dynamodb:Query"), boundary=boundary) == {UNSCOPED}


@pytest.mark.parametrize(
    "pattern",
    [
        f"TENANT#*{TAG}",
        f"TENANT#*#{TAG}",
        f"*{TAG}",
        f"*#{TAG}",
        f"*#{TAG}#*",
        f"*TENANT#{TAG}",
        f"ACCOUNT#*#{TAG}",
    ],
)
def test_a_wildcard_before_the_tenant_lets_other_tenants_in(pattern):
    assert found(statement(**leading([*WHOLE, pattern]))) == {PREFIX}
    assert found(statement(), statement(effect="Deny", **leading([*WHOLE, pattern], "ForAnyValue:StringNotLike"))) == {PREFIX}


@pytest.mark.parametrize("pattern", ["USER#*", "AGENT#*", "EXPORT#?*", "*#PROFILE", "TENANT#*#PROFILE"])
def test_a_wildcard_without_the_tenant_lets_everybodys_items_in(pattern):
    assert found(statement(**leading([*WHOLE, pattern]))) == {UNSCOPED}


@pytest.mark.parametrize(
    "pattern",
    [
        *("CONNECTOR#*", "ACTION_TYPE#*", "IDEMPOTENCY_KEY#*", "ACTION_INTENT#*", "TRACE#*"),  # tenant-less by contract
        *("CONFIG#global", "AUTO_EXEC_STATE"),
        *(
            f"ACCOUNT#{TAG}#*",
            f"{TAG}#*",
            f"USER#*#TENANT#{TAG}",
            f"TENANT#{TAG}/*",
            f"TENANT#{TAG}${{*}}#*",
            f"TENANT#${{*}}{TAG}",
        ),
    ],
)
def test_what_the_contract_has_without_a_tenant_and_whole_segments_of_the_caller_let_nobody_else_in(pattern):
    rows = role_access([role(statement(**leading([*WHOLE, pattern])))], UNIVERSE)
    assert not any("wildcard" in row.reason for row in rows)


@pytest.mark.parametrize("tag", ["tenant", "TenantId", "tenant-id", "Tenant ID", "custom:tenantId", "cc-native/tenant_id"])
def test_the_tenant_tag_may_be_written_in_several_ways(tag):
    assert found(statement(**leading([f"TENANT#${{aws:PrincipalTag/{tag}}}"]))) == set()


@pytest.mark.parametrize("tag", ["tenant_tier", "parent_tenant", "not_a_tenant", "tenants", "tenant_id_suffix", "tenant:tier"])
def test_a_tag_that_only_has_tenant_in_its_name_is_not_the_tenants(tag):
    assert found(statement(**leading([f"TENANT#${{aws:PrincipalTag/{tag}}}"]))) == {UNSCOPED}


@pytest.mark.parametrize(
    "action",
    ["RestoreTableToPointInTime", "RestoreTableFromBackup", "EnableKinesisStreamingDestination", "PutResourcePolicy"],
)
def test_what_copies_or_opens_a_whole_table_needs_no_key(action):
    own = statement(KEYED, **leading(WHOLE))
    assert found(own, statement(f"dynamodb:{action}", [ARN, f"{ARN}/backup/*"])) == {KEYLESS}
    assert found(own, statement(f"dynamodb:{action}", ["arn:aws:dynamodb:us-west-2:111122223333:table/other"])) == set()


@pytest.mark.parametrize(
    ("actions", "resources"),
    [
        ("sts:AssumeRole", "*"),
        (["sts:AssumeRole", "sts:TagSession"], "arn:aws:iam::111122223333:role/*"),
        ("sts:*", "arn:aws:iam::*:role/*"),
        ("iam:PutRolePolicy", "*"),
        ("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/fn"),
        ("iam:PutRolePolicy", f"arn:aws:iam::{UNKNOWN}:role/fn"),
        ("iam:TagRole", "arn:aws:iam::111122223333:role/f*"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::111122223333:policy/*"),
        ("iam:*", "*"),
    ],
)
def test_a_role_that_may_change_or_take_roles_gets_around_what_binds_it(actions, resources):
    around = {"Effect": "Allow", "Action": actions, "Resource": resources}
    own = statement(KEYED, **leading(WHOLE))
    assert found(own, around) == {"iam_way_around"}
    assert found(own, around, {"Effect": "Deny", "Action": ["iam:*", "sts:*"], "Resource": "*"}) == set()
    assert found(own, around, boundary=document(statement("dynamodb:*Item", ["*"]))) == set()


@pytest.mark.parametrize(
    ("actions", "resources"),
    [
        (["sts:AssumeRole", "sts:TagSession"], "arn:aws:iam::111122223333:role/cc-native-tenant-access"),  # one that is named
        (["sts:TagSession", "sts:GetCallerIdentity"], "*"),
        ("iam:PassRole", "*"),
        ("iam:GetRolePolicy", "*"),
        ("iam:PutRolePolicy", "arn:aws:iam::111122223333:role/elsewhere"),
    ],
)
def test_a_role_that_is_named_may_be_taken(actions, resources):
    assert found(statement(KEYED, **leading(WHOLE)), {"Effect": "Allow", "Action": actions, "Resource": resources}) == set()


def test_a_way_around_can_be_excepted_for_every_table():
    around = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    why = IamException(role="fn", justification="it hands out the tenants' sessions, each tagged")
    assert codes(judged(role(statement(KEYED, **leading(WHOLE)), around))) == {("WARN", "iam_way_around")}
    assert judged(role(statement(KEYED, **leading(WHOLE)), around), exceptions=(why,)).verdict is Verdict.PASS


def document(*statements):
    return {"Version": "2012-10-17", "Statement": [each for each in statements if each]}


def test_policy_variables_need_the_newer_version_of_the_language():
    assert found(statement(**leading(WHOLE)), version="2008-10-17") == set()  # the text fits no key at all
    role = RolePolicies("fn", (("inline", {"Statement": [statement(**leading(WHOLE))]}),))
    assert role_access([role], UNIVERSE) == []


def test_null_keeps_requests_without_a_key_out():
    bound = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": WHOLE}, "Null": {"dynamodb:LeadingKeys": "false"}}
    assert found(statement(["dynamodb:Scan", "dynamodb:PartiQLSelect", "dynamodb:Query"], Condition=bound)) == set()


@pytest.mark.parametrize(
    ("deny", "expected"),
    [
        (statement("dynamodb:*", ["*"], effect="Deny"), set()),
        (statement("dynamodb:*", ["*"], effect="Deny", **leading(WHOLE, "ForAnyValue:StringNotLike")), {KEYLESS}),
        (
            statement("dynamodb:*", ["*"], effect="Deny", **leading(WHOLE, "ForAllValues:StringNotLike")),
            {BATCH},
        ),  # a mixed batch escapes
        (statement("dynamodb:Scan", ["*"], effect="Deny"), {UNSCOPED, KEYLESS}),  # PartiQL and exports are left
        (statement("dynamodb:*", ["*"], effect="Deny", Condition={"Bool": {"aws:ViaAWSService": "true"}}), {UNSCOPED, KEYLESS}),
        (statement("dynamodb:*", [UNKNOWN], effect="Deny"), {UNSCOPED, KEYLESS}),
        (statement([UNKNOWN], ["*"], effect="Deny"), {UNSCOPED, KEYLESS}),
        (statement("dynamodb:*", ["arn:aws:dynamodb:eu-west-1:111122223333:table/*"], effect="Deny"), {UNSCOPED, KEYLESS}),
        (
            statement("dynamodb:*", ["*"], effect="Deny", Condition={"Bool": {"dynamodb:FullTableScan": "true"}}),
            {UNSCOPED, KEYLESS},
        ),
        ({"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}, set()),
        ({"Effect": "Deny", "Action": "dynamodb:*", "NotResource": "arn:aws:s3:::x"}, set()),
    ],
)
def test_a_deny_counts_only_where_it_surely_applies(deny, expected):
    assert found(statement("dynamodb:*", ["*"]), deny) == expected


def test_a_full_table_scan_can_be_denied_to_partiql_alone():
    deny = statement("dynamodb:PartiQLSelect", ["*"], effect="Deny", Condition={"Bool": {"dynamodb:FullTableScan": "true"}})
    assert found(statement("dynamodb:PartiQLSelect", **leading(WHOLE)), deny) == set()


def test_a_permissions_boundary_limits_and_never_grants():
    bound = {"Version": "2012-10-17", "Statement": [statement("dynamodb:*", ["*"], **leading(WHOLE))]}
    nothing = {"Version": "2012-10-17", "Statement": []}
    wide = {"Version": "2012-10-17", "Statement": [statement("*", ["*"])]}
    assert found(statement(), boundary=bound) == set()
    assert found(statement("dynamodb:Scan"), boundary=bound) == {KEYLESS}
    assert found(statement("dynamodb:*"), boundary=nothing) == set()
    assert found(statement(), boundary=wide) == {UNSCOPED}
    assert found(boundary=wide) == set()


def test_statements_may_stand_alone_and_odd_documents_grant_nothing():
    assert found(statement()) == {UNSCOPED}
    alone = RolePolicies("fn", (("inline", {"Version": "2012-10-17", "Statement": statement()}),))
    assert {row.code for row in role_access([alone], UNIVERSE)} == {UNSCOPED}
    odd = RolePolicies("fn", (("inline", {"Statement": ["x", None]}), ("other", {})))
    assert role_access([odd], UNIVERSE) == []


def test_a_justified_exception_covers_exactly_its_role_table_and_actions():
    why = "nightly export of all tenants to the archive"
    covers = IamException(role="f?", table="cc-native-*", actions=("Get*",), justification=why)
    elsewhere = IamException(role="batch", table="*", justification=why)
    role = RolePolicies(
        "fn", (("inline", {"Version": "2012-10-17", "Statement": [statement(["dynamodb:GetItem", "dynamodb:Scan"])]}),)
    )
    rows = {(row.result, row.actions, row.justification) for row in role_access([role], UNIVERSE, [covers, elsewhere])}
    assert rows == {("excepted", ("GetItem",), why), ("violation", ("Scan",), ""), ("unused", ("*",), why)}


READ = Read("iam:GetAccountAuthorizationDetails", "roles", ReadStatus.OK, None, 1, "2026-11-23T09:16:00Z", "2026-11-23T09:16:01Z")


def judged(*roles, blocks=False, reads=(READ,), exceptions=()):
    table = ROLE_ACCESS.gathered(role_access(roles, UNIVERSE, exceptions), NoFacts()).with_reads(reads, NOW)
    return judge_iam_scope(table, policy=IsolationPolicy(iam_blocks=blocks, iam_exceptions=exceptions))


def role(*statements, **more):
    return RolePolicies("fn", (("inline", {"Version": "2012-10-17", "Statement": list(statements)}),), **more)


def test_findings_warn_by_default_and_block_where_the_policy_says_so():
    assert judged(role(statement(KEYED, **leading(WHOLE)))).verdict is Verdict.PASS
    for one, code in ((statement(), UNSCOPED), (statement(**leading([f"TENANT#{TAG}*"])), PREFIX)):
        assert codes(judged(role(one))) == {("WARN", code)}
        assert codes(judged(role(one), blocks=True)) == {("FAIL", code)}


def test_what_could_not_be_read_is_no_pass():
    assert judged().verdict is Verdict.INCONCLUSIVE
    denied = Read(READ.operation, READ.resource, ReadStatus.DENIED, "no", 0, READ.start, READ.end)
    assert judged(reads=(denied,)).verdict is Verdict.ERROR
    unknown = role(statement(KEYED, **leading(WHOLE)), unknown=("arn:aws:iam::1:policy/x",))
    assert codes(judged(unknown)) == {("WARN", "iam_policy_not_judged")}
    assert judged(unknown, blocks=True).verdict is Verdict.INCONCLUSIVE


def test_an_exception_without_use_is_said():
    unused = IamException(role="gone", justification="it was needed for a migration once")
    assert codes(judged(role(statement(KEYED, **leading(WHOLE))), exceptions=(unused,))) == {("WARN", "iam_exception_unused")}


def test_the_table_survives_its_own_reading(tmp_path):
    rows = role_access([role(statement("dynamodb:*"))], UNIVERSE)
    assert assert_kept(ROLE_ACCESS.gathered(rows, NoFacts()), tmp_path).rows == rows


# Templates

TEMPLATE = """
AWSTemplateFormatVersion: '2010-09-09'
Parameters: {Stage: {Default: dev}, Unset: {Type: String}}
Resources:
  LedgerTable: {Type: AWS::DynamoDB::Table, Properties: {TableName: cc-native-ledger}}
  OtherTable: {Type: AWS::DynamoDB::Table, Properties: {TableName: !Sub '${Unset}-other'}}
  Scoped:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Sub 'scoped-${Stage}'
      ManagedPolicyArns: ['arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole']
      Policies:
        - PolicyName: own
          PolicyDocument:
            Version: 2012-10-17
            Statement:
              - Effect: Allow
                Action: [dynamodb:GetItem, dynamodb:Query]
                Resource: [!GetAtt LedgerTable.Arn, !Sub '${LedgerTable.Arn}/index/*']
                Condition:
                  ForAllValues:StringLike:
                    dynamodb:LeadingKeys: [!Sub 'TENANT#${!aws:PrincipalTag/tenant_id}', 'TENANT#${aws:PrincipalTag/tenant_id}#*']
  Wide: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {}}}
  WidePolicy:
    Type: AWS::IAM::Policy
    Properties:
      Roles: [!Ref Wide]
      PolicyDocument:
        Statement: {Effect: Allow, Action: 'dynamodb:GetItem', Resource: !Join ['', [!GetAtt LedgerTable.Arn, '*']]}
  Managed:
    Type: AWS::IAM::Role
    Properties: {ManagedPolicyArns: ['arn:aws:iam::aws:policy/AmazonDynamoDBFullAccess', !ImportValue shared-policy]}
  Function:
    Type: AWS::Serverless::Function
    Properties:
      FunctionName: cc-native-fn
      Policies:
        - DynamoDBReadPolicy: {TableName: !Ref LedgerTable}
        - AWSLambdaBasicExecutionRole
        - !If [Cond, {Statement: [{Effect: Allow, Action: 'dynamodb:PutItem', Resource: !Ref Unset}]}, !Ref 'AWS::NoValue']
  WithRole: {Type: AWS::Serverless::Function, Properties: {Role: !GetAtt Scoped.Arn}}
"""


def test_a_template_tells_its_roles_with_intrinsic_functions():
    content = read_template(TEMPLATE)
    assert content.tables == ("cc-native-ledger", "OtherTable")
    by_role: dict[str, set] = {}
    for row in role_access(content.roles, UNIVERSE):
        by_role.setdefault(row.role, set()).update((row.code or row.result, action) for action in row.actions or ("",))
    assert by_role["scoped-dev"] == {("bound", "")}
    assert by_role["Wide"] == {(UNSCOPED, "GetItem")}
    assert (KEYLESS, "Scan") in by_role["Managed"]
    assert ("iam_policy_not_judged", "") in by_role["Managed"]
    assert (UNSCOPED, "PutItem") in by_role["cc-native-fn"]  # a resource that is not known may be any
    assert (KEYLESS, "Scan") in by_role["cc-native-fn"]
    assert set(by_role) == {"scoped-dev", "Wide", "Managed", "cc-native-fn"}


def test_a_template_in_json_with_long_forms_is_the_same():
    policy = {
        "PolicyDocument": {
            "Statement": [{"Effect": "Allow", "Action": "dynamodb:Scan", "Resource": {"Fn::GetAtt": ["T", "Arn"]}}]
        }
    }
    text = json.dumps(
        {
            "Resources": {
                "T": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": TABLE}},
                "R": {"Type": "AWS::IAM::Role", "Properties": {"Policies": [policy]}},
            }
        }
    )
    assert {row.code for row in role_access(read_template(text).roles, UNIVERSE)} == {KEYLESS}


def test_a_condition_that_the_template_leaves_open_binds_nothing():
    text = TEMPLATE.replace("dynamodb:LeadingKeys: [", "dynamodb:LeadingKeys: [!Ref Unset, ")
    assert UNSCOPED in {row.code for row in role_access(read_template(text).roles, UNIVERSE) if row.role == "scoped-dev"}


@pytest.mark.parametrize("text", ["", "[]", "{", "Resources: [1]", "a: !Sub [", "just text", "Resources:"])
def test_what_is_no_template_is_said(text):
    with pytest.raises(UnreadableTemplate):
        read_template(text)


def test_policies_of_aws_are_known_as_far_as_dynamodb_goes():
    assert known_policy("arn:aws:iam::111122223333:policy/mine") is None
    assert known_policy("arn:aws:iam::aws:policy/AmazonS3FullAccess") == {"Statement": []}
    wide = RolePolicies("fn", (("x", known_policy("arn:aws:iam::aws:policy/AdministratorAccess") or {}),))
    assert {row.code for row in role_access([wide], UNIVERSE)} == {UNSCOPED, KEYLESS}


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["Ref", "Fn::Sub", "Fn::Join", "Fn::If", "Fn::GetAtt", "Statement", "Action", "Type", "Policies", "x"]
            ),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


@settings(max_examples=120, deadline=None)
@given(
    kind=st.sampled_from(["AWS::IAM::Role", "AWS::IAM::Policy", "AWS::Serverless::Function", "AWS::DynamoDB::Table"]),
    properties=st.dictionaries(
        st.sampled_from(
            ["Policies", "PolicyDocument", "Roles", "ManagedPolicyArns", "TableName", "RoleName", "PermissionsBoundary"]
        ),
        json_values,
        max_size=4,
    ),
)
def test_no_template_makes_the_reading_raise(kind, properties):
    text = json.dumps({"Resources": {"R": {"Type": "AWS::IAM::Role"}, "X": {"Type": kind, "Properties": properties}}})
    assert role_access(read_template(text).roles, UNIVERSE) is not None


@settings(max_examples=80, deadline=None)
@given(
    allow=st.lists(
        st.sampled_from(["dynamodb:GetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:Batch*"]), min_size=1, max_size=3
    ),
    condition=st.sampled_from([{}, leading(WHOLE), leading([f"TENANT#{TAG}*"]), leading(WHOLE, "ForAnyValue:StringLike")]),
    deny=st.lists(st.sampled_from(["dynamodb:Scan", "dynamodb:GetItem", "dynamodb:*"]), max_size=2),
)
def test_a_further_deny_never_adds_access_and_a_further_allow_never_takes_any_away(allow, condition, deny):
    def letting(*statements):
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        rows = role_access([RolePolicies("fn", (("p", document),))], UNIVERSE)
        return {action for row in rows if row.result == "violation" for action in row.actions}

    base = statement(allow, **condition)
    denied = letting(base, *(statement(action, ["*"], effect="Deny") for action in deny))
    assert denied <= letting(base) <= letting(base, statement("dynamodb:PutItem"))
