"""CloudFormation and SAM templates of roles, in YAML and JSON: check iam_scope."""

import json

import yaml

from phase5_ops.sections.isolation.roles.template import read_template
from phase5_ops.sections.isolation.roles.templates.text import UnreadableTemplate
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.roles.templates import BINDING, TABLE, allow, bound, deny, if_, role
from phase5_ops_tests.sections.isolation.roles.test_template_properties import judged

READS = "CloudFormation and SAM templates in YAML or JSON (`sections/isolation/roles/template`, `templates/`)"
MALFORMED = "`UnreadableTemplate`, or `iam_policy_not_judged` at the role; an open role beside it is never passed over"

SEED = {
    "AWSTemplateFormatVersion": "2010-09-09",
    "Transform": "AWS::Serverless-2016-10-31",
    "Parameters": {"Stage": {"Type": "String", "Default": "dev", "AllowedValues": ["dev", "prod"]}},
    "Conditions": {"IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]}},
    "Mappings": {"Names": {"dev": {"table": "cc-native-ledger"}}},
    "Globals": {"Function": {"Runtime": "nodejs20.x"}},
    "Resources": {
        "Ledger": TABLE,
        "Bound": role(bound(), ManagedPolicyArns=["arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"]),
        "Mixed": role(if_(allow(Condition=BINDING), bound()), deny()),
        "Policy": {
            "Type": "AWS::IAM::ManagedPolicy",
            "Properties": {"Roles": [{"Ref": "Bound"}], "PolicyDocument": {"Version": "2012-10-17", "Statement": [bound()]}},
        },
        "Fn": {
            "Type": "AWS::Serverless::Function",
            "Properties": {"Policies": [{"DynamoDBReadPolicy": {"TableName": {"Ref": "Ledger"}}}, {"Statement": [bound()]}]},
        },
        "Fn::ForEach::Roles": ["Name", ["A", "B"], {"Role${Name}": role(bound())}],
    },
}
OPEN = role(allow())
PIECES = (
    "!Sub ", "!Ref ", "!GetAtt ", "!If [", "!FindInMap ", "!Join ", "&a ", "*a", "<<: ", "- ", ": ", "{", "}", "[", "]", "|\n",
    ">\n", "'", '"', "? ", "!!python/object ", "!!binary ", "!!set ", "%TAG ! x\n", "---\n", "...\n", "0x1", "1_000",
    "2026-11-23", ".inf", "~", "\t", "#", "&a [*a]", "${", "}", "Fn::ForEach::X", "Fn::Transform", "\x00", "a: &a [x, x]\n",
    "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n",
)  # fmt: skip


def fuzz(data: bytes) -> None:
    """Reads an altered template; a role that is open to all tenants is found whatever stands beside it."""
    source = Source(data)
    leaks = source.chance(2)
    content = source.changed(SEED)
    if not data:
        read_template(json.dumps(SEED))
    resources = content.get("Resources") if isinstance(content, dict) else None
    leaks = leaks and isinstance(resources, dict)
    if leaks:
        resources["Open"] = OPEN
    spliced = False
    try:
        text = yaml.safe_dump(content) if source.chance(2) else source.json_text(content)
    except (yaml.YAMLError, RecursionError):
        return
    if source.chance(2):
        text, before = source.spliced(text, PIECES), text
        spliced = text != before
    try:
        verdict = judged(text).verdict
    except UnreadableTemplate as error:
        assert data, f"the seed cannot be read: {error}"
        return
    assert spliced or not leaks or verdict is not Verdict.PASS, "an open role passes"
