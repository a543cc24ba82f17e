"""The policy that is printed for a role: with it, nothing that the role was granted reaches beyond its tenant."""

import pytest

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.table import NoFacts
from phase5_ops.policy import IsolationPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.remedies.model import CannotMend, MendingCase
from phase5_ops.sections.isolation.roles.evidence import ROLE_ACCESS, RolePolicies, Universe, role_access
from phase5_ops.sections.isolation.roles.judge import judge_iam_scope
from phase5_ops.sections.isolation.roles.remedy import mend_roles
from phase5_ops.settings import Settings

AT = "2026-11-23T12:00:00.000Z"
TABLES = ("cc-native-ledger", "cc-native-tenants")
EVERYTHING = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": "*"}


def allowing(statement):
    return {"Version": "2012-10-17", "Statement": [statement]}


def found(*policies, role="cc-native-role", tables=TABLES):
    rows = role_access([RolePolicies(role, tuple(policies))], Universe(tables))
    table = ROLE_ACCESS.gathered(rows, NoFacts())
    return table.with_reads([Read("iam:x", "roles", ReadStatus.OK, None, 1, AT, AT)], parse_iso(AT))


def mended(table, **settings):
    findings = judge_iam_scope(table, policy=IsolationPolicy()).findings
    case = MendingCase(findings, {"role_access": table}, Settings(**settings), "123456789012", "us-west-2", parse_iso(AT))
    return list(mend_roles(case))


@pytest.mark.parametrize(
    "statement",
    [
        EVERYTHING,
        {**EVERYTHING, "Action": ["dynamodb:GetItem", "dynamodb:Scan"]},
        {
            **EVERYTHING,
            "Condition": {
                "ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["TENANT#${aws:PrincipalTag/tenant_id, 'globex'}*"]}
            },
        },
    ],
    ids=["everything", "two actions", "a default and a prefix"],
)
def test_nothing_beyond_the_tenant_is_left(statement):
    (remedy,) = mended(found(("data", allowing(statement))))
    after = found(("data", allowing(statement)), (remedy.resource.name, remedy.resource.document))
    assert [row.result for row in after.rows] == ["bound"] * len(TABLES)
    assert mended(after) == []


def test_what_the_role_may_do_for_its_tenant_and_without_one_stays():
    (remedy,) = mended(found(("data", allowing(EVERYTHING))))
    keyed = [each for each in remedy.resource.document["Statement"] if "ForAnyValue:StringNotLike" in each.get("Condition", {})]
    spared = keyed[0]["Condition"]["ForAnyValue:StringNotLike"]["dynamodb:LeadingKeys"]
    assert {"TENANT#${aws:PrincipalTag/tenant_id}#*", "CONNECTOR#*", "AUTO_EXEC_STATE"} <= set(spared)
    assert "*" not in spared


def test_where_no_policy_can_be_added_that_is_said():
    whole = found(("data", allowing(EVERYTHING)))
    (template,) = mended(whole, isolation={"iam_template": "template.yaml"})
    (other,) = mended(found(("data", allowing(EVERYTHING)), role="arn:aws:iam::1:root"))
    (long,) = mended(found(("data", allowing(EVERYTHING)), tables=[f"cc-native-{'x' * 200}-{n}" for n in range(12)]))
    assert {type(each) for each in (template, other, long)} == {CannotMend}
    assert "template" in template.why
    assert "no role" in other.why
    assert "10240 characters" in long.why
