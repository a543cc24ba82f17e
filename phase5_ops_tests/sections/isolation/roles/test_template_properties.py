"""Generated templates of mixed known and unknown constructs: a violation never passes in any part, and nothing goes unnamed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.evidence.table import NoFacts
from phase5_ops.policy import IsolationPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.roles.evidence import ROLE_ACCESS, Universe, role_access
from phase5_ops.sections.isolation.roles.judge import judge_iam_scope
from phase5_ops.sections.isolation.roles.template import read_template
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.isolation.harness.support import NOW
from phase5_ops_tests.sections.isolation.roles.templates import (
    BINDING,
    LEDGER_ARN,
    NO_VALUE,
    TABLE,
    allow,
    bound,
    deny,
    document,
    if_,
    role,
    template,
)

pytestmark = pytest.mark.slow

READ = Read("file:read", "template", ReadStatus.OK, None, 1, "2026-11-23T09:16:00Z", "2026-11-23T09:16:01Z")
PARAMETERS = {
    "Unset": {"Type": "String", "Default": "other"},
    "Stage": {"Type": "String", "Default": "other", "AllowedValues": ["other", "native"]},
    "Actions": {"Type": "CommaDelimitedList", "Default": "s3:*", "AllowedValues": ["s3:*", "dynamodb:*"]},
}


def judged(text):
    content = read_template(text)
    rows = role_access(content.roles, Universe(sorted({*content.tables, "cc-native-ledger"})))
    table = ROLE_ACCESS.gathered(rows, NoFacts()).with_reads([READ], NOW)
    return judge_iam_scope(table, policy=IsolationPolicy(iam_blocks=True))


#: Statements that let a role do what it must not, in one of the values that the template may take.
PLAIN = [allow(), allow("dynamodb:GetItem", "arn:aws:dynamodb:*:*:table/cc-native-*"), allow("*")]
OPEN = [
    *PLAIN,
    allow({"Ref": "Actions"}),
    allow(["s3:*", if_("dynamodb:*")]),
    allow(resource={"Fn::Sub": "arn:aws:dynamodb:*:*:table/${Unset}"}),
    allow(resource={"Fn::Sub": "arn:aws:dynamodb:*:*:table/cc-${Stage}-ledger"}),
    allow(resource={"Fn::ImportValue": "table"}),
    allow(resource=if_("arn:aws:s3:::b", LEDGER_ARN)),
    allow(Condition=if_(BINDING)),
    allow(Condition={"Fn::Transform": {"Name": "Binding"}}),
    {**allow(), "Effect": if_("Deny", "Allow")},
    {"Effect": "Allow", "NotAction": ["s3:*", if_("dynamodb:*")], "Resource": "*"},
]
MAYBE_ALLOW = {**deny(), "Effect": {"Ref": "Unset"}}
#: What may stand beside it and must not hide it.
BESIDE = [
    bound(),
    NO_VALUE,
    if_(deny()),
    if_(deny(), bound()),
    deny(if_("dynamodb:*")),
    deny(resource={"Ref": "Unset"}),
    deny(Condition=if_({"Bool": {"aws:SecureTransport": "true"}})),
    MAYBE_ALLOW,
    deny("s3:*"),
    {"Fn::ImportValue": "statement"},
]


def wrapped(statement, beside=BESIDE):
    """The statement at some depth of lists and conditions."""
    return st.recursive(
        st.just(statement),
        lambda inner: st.one_of(
            inner.map(lambda one: if_(one, bound())),
            inner.map(lambda one: if_(NO_VALUE, one)),
            st.tuples(inner, st.sampled_from(beside)).map(list),
            st.tuples(st.sampled_from(beside), inner).map(list),
        ),
        max_leaves=4,
    )


def as_document(statement):
    """A document with the statement, in one of the forms that a document may have."""
    mapping = wrapped(statement).map(lambda one: {"Version": "2012-10-17", "Statement": one})
    forms = [mapping, mapping.map(lambda one: {"Fn::ToJsonString": one}), mapping.map(lambda one: if_(document(bound()), one))]
    if statement in PLAIN:
        text = json.dumps(document(bound() | {"Resource": "*"}, statement))
        forms += [st.sampled_from([text, {"Fn::Sub": text}, if_(text), {"Fn::Join": ["", [text]]}])]
    return st.one_of(forms)


def is_mapping(content):
    """Whether SAM takes it for a document: text would be the name of a policy."""
    return isinstance(content, dict) and ("Statement" in content or all(map(is_mapping, content.get("Fn::If", [0, 0])[1:])))


def placed(content):
    """Resources in which some role has the document."""
    inline = [{"PolicyName": "p", "PolicyDocument": content}]
    policy = {"PolicyDocument": content}
    of_sam = [
        {"Fn": {"Type": "AWS::Serverless::Function", "Properties": {"Policies": [content]}}},
        {
            "M": {
                "Type": "AWS::Serverless::StateMachine",
                "Properties": {"Policies": if_(content), "Role": if_({"Ref": "Unset"})},
            }
        },
    ]
    return st.sampled_from(
        [
            {"Worker": role(Policies=inline)},
            {"Worker": role(Policies=if_(inline, []))},
            {"Worker": role(Policies=[if_(inline[0])])},
            {"Fn::ForEach::R": ["N", ["A", "B"], {"Role${N}": role(Policies=inline)}]},
            {"Worker": role(), "P": {"Type": "AWS::IAM::Policy", "Properties": {**policy, "Roles": [{"Ref": "Worker"}]}}},
            {"P": {"Type": "AWS::IAM::Policy", "Condition": "IsProd", "Properties": {**policy, "Roles": [{"Ref": "Unset"}]}}},
            {"P": {"Type": "AWS::IAM::RolePolicy", "Properties": {**policy, "RoleName": "elsewhere"}}},
            {
                "Worker": role(ManagedPolicyArns=[if_({"Ref": "P"})]),
                "P": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy},
            },
            *(of_sam if is_mapping(content) else []),
        ]
    )


#: Constructs whose effect is not evaluated, each as (resources, sections, what names it).
UNKNOWN_PARTS = [
    (
        {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": "s3://b/x"}}},
        {},
        "Fn::Transform AWS::Include s3://b/x",
    ),
    ({"Fn::ForEach::Loop": ["N", {"Ref": "Actions"}, {}]}, {}, "Fn::ForEach::Loop"),
    (
        {"Nested": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "n.yaml"}}},
        {},
        "AWS::CloudFormation::Stack n.yaml",
    ),
    ({"App": {"Type": "AWS::Serverless::Application", "Properties": {}}}, {}, "AWS::Serverless::Application"),
    ({"Link": {"Type": "AWS::Serverless::Connector", "Properties": {}}}, {}, "AWS::Serverless::Connector"),
    ({"Mod": {"Type": "Org::Roles::MODULE", "Properties": {}}}, {}, "Org::Roles::MODULE"),
    ({"Odd": role(bound(), Policies=[{"Fn::ImportValue": "odd"}])}, {}, "Fn::ImportValue odd"),
    ({"Odd2": role(bound(), ManagedPolicyArns=["arn:aws:iam::aws:policy/AWSNew"])}, {}, "AWSNew"),
    ({"Odd3": {**role(bound()), "Fn::Transform": {"Name": "Odd3Macro"}}}, {}, "Odd3Macro"),
    ({"Odd4": role({**bound(), "Statement": 1})}, {}, "Statement in a statement"),
    (
        {"Code": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::ImportValue": "r"}}}},
        {},
        "Role: Fn::ImportValue r",
    ),
    (
        {"Sam": {"Type": "AWS::Serverless::Function", "Properties": {"Policies": [{"NewPolicy": {}}]}}},
        {},
        "SAM policy template NewPolicy",
    ),
    ({"Sam2": {"Type": "AWS::Serverless::Function", "Connectors": {"Wire": {}}, "Properties": {}}}, {}, "SAM connector Wire"),
    ({"Sam3": {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"Ev": {"Type": "New"}}}}}, {}, "event Ev"),
    ({"Own": {**TABLE, "Properties": {"ResourcePolicy": {"Fn::ImportValue": "rp"}}}}, {}, "Fn::ImportValue rp"),
    ({}, {"Transform": ["AWS::LanguageExtensions", "TopMacro"]}, "Transform TopMacro"),
    ({}, {"Mappings": {"Fn::Transform": {"Name": "MapMacro"}}}, "Fn::Transform MapMacro in Mappings"),
]
unknown_parts = st.lists(st.sampled_from(UNKNOWN_PARTS), max_size=4, unique_by=lambda part: part[2])


def put_together(resources, parts):
    sections = {}
    for more, section, _ in parts:
        resources, sections = {**resources, **more}, {**sections, **section}
    return template(resources, Parameters=PARAMETERS, **sections)


@settings(max_examples=100, deadline=None)
@given(
    resources=st.sampled_from(OPEN).flatmap(as_document).flatmap(placed),
    parts=unknown_parts,
)
def test_a_violation_in_any_part_never_passes_and_is_never_hidden(resources, parts):
    found = judged(put_together(resources, parts))
    assert found.verdict is Verdict.FAIL
    assert "iam_access_unscoped" in {finding.code for finding in found.findings}


@settings(max_examples=50, deadline=None)
@given(parts=unknown_parts)
def test_every_construct_that_is_not_evaluated_is_named(parts):
    found = judged(put_together({}, parts))
    seen = [finding.seen for finding in found.findings if finding.code == "iam_policy_not_judged"]
    for _, _, name in parts:
        assert any(name in one for one in seen), (name, seen)
    assert (found.verdict is Verdict.PASS) == (not parts)


@settings(max_examples=50, deadline=None)
@given(
    statement=st.sampled_from(OPEN),
    principal=st.sampled_from(["*", {"AWS": {"Fn::GetAtt": ["Bound", "Arn"]}}, {"AWS": "999999999999"}]),
    form=st.data(),
)
def test_a_violation_in_a_tables_own_policy_never_passes(statement, principal, form):
    content = form.draw(as_document({**statement, "Principal": principal}))
    table = {**TABLE, "Properties": {"TableName": "cc-native-ledger", "ResourcePolicy": {"PolicyDocument": content}}}
    assert judged(template({"Ledger": table}, Parameters=PARAMETERS)).verdict is Verdict.FAIL


@settings(max_examples=40, deadline=None)
@given(statement=wrapped(bound(), [one for one in BESIDE if one != MAYBE_ALLOW and "Fn::ImportValue" not in one]))
def test_what_is_bound_in_every_alternative_passes(statement):
    assert judged(put_together({"Worker": role(statement)}, [])).verdict is Verdict.PASS
