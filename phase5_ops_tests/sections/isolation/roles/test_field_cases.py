"""Templates in the shapes that people publish, each with what is right to say of its roles."""

import pytest

from phase5_ops.sections.isolation.roles.evidence import Universe, role_access
from phase5_ops.sections.isolation.roles.template import read_template
from phase5_ops_tests.places import FIELD_CASES

CASES = FIELD_CASES / "iam"
UNSCOPED, KEYLESS, NOT_JUDGED = "iam_access_unscoped", "iam_keyless_access", "iam_policy_not_judged"


def said(case: str) -> set[tuple[str, str, str]]:
    """(role, code or result, policy or construct) of a template."""
    content = read_template((CASES / f"{case}.yaml").read_text())
    rows = role_access(content.roles, Universe(content.tables))
    return {(row.role, row.code or row.result, row.policy) for row in rows}


BOUND = ("cc-native-bound", "bound", "")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("good", {("cc-native-worker", "bound", "")}),
        ("i1_json_string", {BOUND, ("cc-native-worker", UNSCOPED, "all"), ("cc-native-worker", KEYLESS, "all")}),
        (
            "i2_foreach",
            {BOUND, *((f"cc-native-{name}", code, "all") for name in ("Alpha", "Beta") for code in (UNSCOPED, KEYLESS))},
        ),
        ("i3_if_deny", {BOUND, ("cc-native-worker", UNSCOPED, "p"), ("cc-native-worker", KEYLESS, "p")}),
        (
            "i6_sam_restore_policy",
            {
                ("cc-native-fn2", "bound", ""),
                ("cc-native-fn", UNSCOPED, "DynamoDBRestoreFromBackupPolicy"),
                ("cc-native-fn", KEYLESS, "DynamoDBRestoreFromBackupPolicy"),
            },
        ),
        (
            "i7_sam_role_if",
            {
                BOUND,
                ("cc-native-fn", UNSCOPED, "DynamoDBCrudPolicy"),
                ("cc-native-fn", KEYLESS, "DynamoDBCrudPolicy"),
                ("cc-native-fn", NOT_JUDGED, "Role: Fn::If HasRole, Ref RoleArn"),
            },
        ),
        ("i9_param_default", {BOUND, ("cc-native-worker", UNSCOPED, "p"), ("cc-native-worker", KEYLESS, "p")}),
        (
            "i10_table_resource_policy",
            {BOUND, *(("cc-native-worker", code, "resource policy of cc-native-ledger") for code in (UNSCOPED, KEYLESS))},
        ),
        (
            "i11_include",
            {
                BOUND,
                ("(template)", NOT_JUDGED, "Fn::Transform AWS::Include s3://bucket/roles.yaml in Resources"),
                ("cc-native-worker", NOT_JUDGED, "Fn::Transform AWS::Include s3://bucket/policies.yaml"),
                ("Nested", NOT_JUDGED, "AWS::CloudFormation::Stack ./roles.yaml"),
            },
        ),
        (
            "i12_managed_others",
            {
                BOUND,
                *(("cc-native-worker", code, "DatabaseAdministrator") for code in (UNSCOPED, KEYLESS)),
                *(("cc-native-w2", code, "DataScientist") for code in (UNSCOPED, KEYLESS)),
            },
        ),
    ],
)
def test_a_published_template_is_judged_by_all_that_it_holds(case, expected):
    assert said(case) == expected
