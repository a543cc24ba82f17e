"""Statements of templates whose parts are not fixed: an Allow is the widest that it may be, a Deny only what it surely is."""

import json

import pytest

from phase5_ops_tests.sections.isolation.roles.templates import (
    BINDING,
    KEYLESS,
    LEDGER_ARN,
    NO_VALUE,
    NOT_JUDGED,
    UNSCOPED,
    allow,
    bound,
    codes,
    deny,
    document,
    if_,
    named,
    role,
    template,
    worker,
)

WIDE = {UNSCOPED, KEYLESS}
ALLOWED = {"Stage": {"Type": "String", "Default": "dev", "AllowedValues": ["dev", "prod"]}}
MAP = {"Tables": {"dev": {"name": "other"}, "prod": {"name": "cc-native-ledger"}}}


def sub(text):
    return {"Fn::Sub": text}


@pytest.mark.parametrize(
    "statement",
    [
        if_(allow(), NO_VALUE),
        if_(NO_VALUE, allow()),
        if_(if_(bound(), allow()), NO_VALUE),
        allow(if_("dynamodb:DescribeTable", ["dynamodb:GetItem", "dynamodb:Scan"])),
        allow(["dynamodb:DescribeTable", if_("dynamodb:*")]),
        allow(resource=if_("arn:aws:s3:::bucket", LEDGER_ARN)),
        allow(resource=["arn:aws:s3:::bucket", if_(LEDGER_ARN)]),
        allow(Condition=if_(BINDING)),
        allow(Condition=if_(BINDING, {"StringEquals": {"aws:SourceVpc": "vpc-1"}})),
        allow(Condition={"ForAllValues:StringEquals": if_(BINDING["ForAllValues:StringEquals"])}),
        allow(Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": if_(["TENANT#x"])}}),
        allow(Condition={"Fn::Transform": {"Name": "Binding"}}),
        allow(Condition={"Null": {"dynamodb:LeadingKeys": {"Ref": "Unset"}}}),
        allow(Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": {"Ref": "Keys"}}}),
        {**allow(), "Effect": if_("Allow", "Deny")},
        {**allow(), "Effect": {"Ref": "Unset"}},
        allow({"Ref": "Unset"}),
        allow({"Ref": "Actions"}),
        allow({"Fn::Select": [1, {"Ref": "Actions"}]}),
        allow({"Fn::Split": [",", {"Ref": "Unset"}]}),
        allow({"Fn::Split": [",", "dynamodb:GetItem,dynamodb:Scan"]}),
        allow({"Fn::FindInMap": ["Actions", {"Ref": "Stage"}, "all"]}),
        allow(resource=sub("arn:aws:dynamodb:*:*:table/cc-${Stage}-ledger")),
        allow(resource=sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/cc-native-ledger")),
        allow(resource={"Fn::ImportValue": "table"}),
        allow(resource={"Fn::Join": ["", ["arn:aws:dynamodb:*:*:table/", {"Ref": "Unset"}]]}),
        allow(resource={"Fn::Join": [":", {"Fn::Split": ["|", "arn|aws|dynamodb|*|*|table/cc-native-ledger"]}]}),
        allow(resource="{{resolve:ssm:/table-arn}}"),
        allow(resource=sub(["arn:aws:dynamodb:*:*:table/${T}", {"T": if_("other", {"Ref": "Ledger"})}])),
        allow(resource={"Fn::GetStackOutput": {"StackName": "x"}}),
        {"Effect": "Allow", "NotAction": ["iam:*", if_("dynamodb:*")], "Resource": "*"},
        {"Effect": "Allow", "NotAction": {"Ref": "Unset"}, "Resource": "*"},
        {"Effect": "Allow", "Action": "dynamodb:*", "NotResource": [if_(LEDGER_ARN), "arn:aws:s3:::x"]},
        {"Effect": "Allow", "NotAction": if_("iam:*"), "Action": if_(NO_VALUE, "dynamodb:Get*"), "Resource": "*"},
    ],
)
def test_an_allow_is_the_widest_that_it_may_be(statement):
    parameters = {
        "Stage": {"Type": "String", "Default": "other", "AllowedValues": ["other", "native"]},
        "Unset": {"Type": "String", "Default": ""},
        "Actions": {
            "Type": "CommaDelimitedList",
            "AllowedValues": ["s3:GetObject", "dynamodb:GetItem"],
            "Default": "s3:GetObject",
        },
        "Keys": {"Type": "CommaDelimitedList", "Default": "TENANT#x"},
    }
    mappings = {"Actions": {"other": {"all": ["s3:*"]}, "native": {"all": ["dynamodb:*"]}}}
    assert UNSCOPED in worker(statement, Parameters=parameters, Mappings=mappings)


@pytest.mark.parametrize(
    "statement",
    [
        if_(deny(), NO_VALUE),
        if_(deny(), bound()),
        {**deny(), "Effect": if_("Deny", "Allow")},
        {**deny(), "Effect": {"Ref": "Unset"}},
        deny(if_("dynamodb:*")),
        deny(if_("dynamodb:*", "s3:*")),
        deny([if_("dynamodb:*")]),
        deny({"Ref": "Actions"}),
        deny({"Fn::ImportValue": "x"}),
        deny(resource=if_("*", LEDGER_ARN | {})),
        deny(resource=[if_("*")]),
        deny(resource={"Ref": "Unset"}),
        deny(resource="{{resolve:ssm:/table-arn}}"),
        deny(resource=sub("arn:aws:dynamodb:*:*:table/${Stage}")),
        deny(resource=sub("arn:aws:dynamodb:*:*:table/${AWS::AccountId}*")),
        deny(Condition=if_({"Bool": {"aws:SecureTransport": "true"}})),
        deny(Condition={"StringEquals": {"dynamodb:LeadingKeys": {"Ref": "Unset"}}}),
        deny(Condition={"Null": {"dynamodb:LeadingKeys": {"Ref": "Unset"}}}),
        {"Effect": "Deny", "NotAction": [if_("dynamodb:*")], "Resource": "*"},
        {"Effect": "Deny", "NotAction": {"Ref": "Unset"}, "Resource": "*"},
        {"Effect": "Deny", "Action": "dynamodb:*", "NotResource": if_(LEDGER_ARN)},
        {**deny(), "Fn::Transform": {"Name": "M"}},
    ],
)
def test_a_deny_that_may_not_hold_takes_nothing_away(statement):
    parameters = {
        "Stage": {"Type": "String", "AllowedValues": ["*", "other"]},
        "Unset": {"Type": "String", "Default": "*"},
        "Actions": {"Type": "CommaDelimitedList", "AllowedValues": ["s3:*", "dynamodb:*"]},
    }
    assert UNSCOPED in worker(allow(), statement, Parameters=parameters)


@pytest.mark.parametrize(
    "statement",
    [
        deny(),
        deny(["s3:*", if_("iam:*"), "dynamodb:*"]),
        if_(deny(), deny()),
        deny(if_("dynamodb:*", ["s3:*", "dynamodb:*"])),
        deny(resource=sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*")),
        deny(resource=[LEDGER_ARN, sub("${Ledger.Arn}/index/*")]),
        {"Effect": "Deny", "NotAction": if_("iam:*"), "Resource": "*"},
        {"Effect": "Deny", "Action": "dynamodb:*", "NotResource": [if_("arn:aws:s3:::x")]},
        deny({"Ref": "One"}),
    ],
)
def test_a_deny_that_surely_holds_counts(statement):
    one = {"One": {"Type": "String", "AllowedValues": ["dynamodb:*"]}}
    assert worker(allow("dynamodb:Get*", LEDGER_ARN), statement, Parameters=one) == set()


@pytest.mark.parametrize(
    "statement",
    [
        allow("dynamodb:GetItem", LEDGER_ARN, Condition=if_(BINDING, BINDING)),
        allow(if_("dynamodb:GetItem", "dynamodb:Query"), LEDGER_ARN, Condition=BINDING),
        if_(bound(), bound()),
        allow({"Ref": "Read"}, LEDGER_ARN, Condition=BINDING),
    ],
)
def test_alternatives_that_are_all_bound_are_bound(statement):
    read = {"Read": {"Type": "String", "AllowedValues": ["dynamodb:GetItem", "dynamodb:PutItem"]}}
    assert worker(statement, Parameters=read) == {"bound"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (json.dumps(document(allow())), WIDE),
        (json.dumps(document(allow("dynamodb:GetItem", "*", Condition=BINDING))), {"bound"}),
        (sub(json.dumps(document(allow(resource="arn:aws:dynamodb:*:*:table/${Unset}")))), WIDE),
        (sub(json.dumps(document(allow("${Unset}:*")))), WIDE),
        ({"Fn::ToJsonString": document(allow(resource=LEDGER_ARN))}, {UNSCOPED, KEYLESS}),
        ({"Fn::Join": ["", ['{"Version":"2012-10-17","Statement":[', json.dumps(allow()), "]}"]]}, WIDE),
        (if_(document(bound()), json.dumps(document(allow()))), WIDE),
        (if_(document(allow(), deny()), document(allow())), WIDE),
        (if_(document(bound())), {"bound"}),
    ],
)
def test_policy_text_is_read_after_its_variables_are_put_in(text, expected):
    worker_role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": text}]}}
    content = template({"Worker": worker_role}, Parameters={"Unset": {"Type": "String", "Default": "none"}})
    assert codes(content) == expected


@pytest.mark.parametrize(
    ("content", "construct"),
    [
        ("no json", "p: policy text that is no JSON (no json)"),
        ('{"Statement": [], "Statement": []}', "p: policy text that is no JSON"),
        ({"Fn::ImportValue": "doc"}, "p: Fn::ImportValue doc as policy document"),
        ({"Ref": "Unset"}, "p: Ref Unset as policy document"),
        ([], "p: a list as policy document"),
        ({"Version": "2012-10-17"}, "p: no Statement"),
        ({**document(bound()), "Statment": []}, "p: Statment"),
        ({**document(bound()), "Fn::Transform": {"Name": "M"}}, "p: Fn::Transform M"),
        (document("text"), "p: text as statement"),
        (document({"Fn::FindInMap": ["A", "b", "c"]}), "p: Fn::FindInMap as statement"),
        (document({**allow(), "Effect": "Permit"}), "p: Effect permit"),
        (document({**allow(), "Conditon": {}}), "p: Conditon in a statement"),
        (document({"Effect": "Allow", "Resource": "*"}), "p: a statement without Action"),
        (document({"Effect": "Allow", "Action": "dynamodb:*"}), "p: a statement without Resource"),
    ],
)
def test_what_is_not_understood_in_a_document_is_named(content, construct):
    worker_role = {"Type": "AWS::IAM::Role", "Properties": {"Policies": [{"PolicyName": "p", "PolicyDocument": content}]}}
    found = [name for _, name in named(template({"Worker": worker_role}, Parameters={"Unset": {"Type": "String"}}))]
    assert any(name.startswith(construct) for name in found), found


def test_a_deny_in_policy_text_covers_the_own_region_and_account():
    denied = deny(resource="arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/*")
    text = sub(json.dumps(document(allow("dynamodb:GetItem"), denied)))
    policies = [{"PolicyName": "p", "PolicyDocument": text}]
    assert codes(template({"Worker": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}})) == set()


def test_a_version_that_is_not_fixed_is_both():
    either = {"V": {"Type": "String", "AllowedValues": ["2012-10-17", "2008-10-17"]}}
    lettered = {"ForAllValues:StringNotLike": {"dynamodb:LeadingKeys": ["TENANT#${aws:PrincipalTag/tenant_id}*"]}}
    policies = [{"PolicyName": "p", "PolicyDocument": document(allow(Condition=lettered), version={"Ref": "V"})}]
    content = template({"Worker": {"Type": "AWS::IAM::Role", "Properties": {"Policies": policies}}}, Parameters=either)
    assert UNSCOPED in codes(content)


def test_more_alternatives_than_can_be_written_out_are_not_known():
    many = {f"P{n}": {"Type": "String", "AllowedValues": ["a", "b"]} for n in range(8)}
    text = "arn:aws:dynamodb:*:*:table/" + "".join(f"${{P{n}}}" for n in range(8))
    assert UNSCOPED in worker(allow(resource=sub(text)), Parameters=many)


@pytest.mark.parametrize("kind", ["AWS::SSM::Parameter::Value<String>", "String"])
def test_a_parameter_without_allowed_values_is_never_its_default(kind):
    found = worker(allow(resource=sub("arn:aws:dynamodb:*:*:table/${T}")), Parameters={"T": {"Type": kind, "Default": "other"}})
    assert UNSCOPED in found


def test_allowed_values_of_a_looked_up_parameter_are_names_not_values():
    looked_up = {"T": {"Type": "AWS::SSM::Parameter::Value<String>", "AllowedValues": ["/a", "/b"], "Default": "/a"}}
    assert UNSCOPED in worker(allow(resource=sub("arn:aws:dynamodb:*:*:table/${T}")), Parameters=looked_up)


def test_allowed_values_that_mean_other_tables_reach_no_table_of_the_platform():
    assert worker(allow(resource=sub("arn:aws:dynamodb:*:*:table/${Stage}-x")), Parameters=ALLOWED) == set()
    by_map = allow(resource={"Fn::Join": ["", ["arn:aws:dynamodb:*:*:table/", {"Fn::FindInMap": ["Tables", "dev", "name"]}]]})
    assert worker(by_map, Mappings=MAP) == set()


def test_a_map_gives_all_that_may_be_looked_up():
    name = {"Fn::FindInMap": ["Tables", {"Ref": "Stage"}, "name"]}
    by_map = allow(resource={"Fn::Join": ["", ["arn:aws:dynamodb:*:*:table/", name]]})
    assert UNSCOPED in worker(by_map, Mappings=MAP, Parameters={"Stage": {"Type": "String", "Default": "dev"}})
    with_default = {"Fn::FindInMap": ["Tables", "dev", "name", {"DefaultValue": "cc-native-ledger"}]}
    by_map = allow(resource={"Fn::Join": ["", ["arn:aws:dynamodb:*:*:table/", with_default]]})
    assert UNSCOPED in worker(by_map, Mappings=MAP)


@pytest.mark.parametrize(
    "table_name",
    [{"Ref": "Unset"}, sub("${Unset}-customers"), if_("customers-a", "customers-b"), sub("${Stage}-customers"), None],
)
@pytest.mark.parametrize("resource", [sub("arn:aws:dynamodb:*:*:table/*customers*"), {"Fn::GetAtt": ["Customers", "Arn"]}])
def test_a_table_whose_name_is_not_fixed_is_reached_by_every_name_that_it_may_have(table_name, resource):
    properties = {} if table_name is None else {"TableName": table_name}
    if table_name is None and "Fn::Sub" in resource:
        resource = sub("arn:aws:dynamodb:*:*:table/*-Customers-*")
    resources = {
        "Customers": {"Type": "AWS::DynamoDB::Table", "Properties": properties},
        "Worker": role(allow(resource=resource)),
    }
    content = template(resources, Parameters={**ALLOWED, "Unset": {"Type": "String", "Default": "x"}})
    assert UNSCOPED in codes(content)


def test_a_deny_on_a_table_by_reference_is_certain_whatever_its_name():
    customers = {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Ref": "Unset"}}}
    arns = [{"Fn::GetAtt": ["Customers", "Arn"]}, sub("${Customers.Arn}/index/*")]
    worker_role = role(allow(["dynamodb:GetItem", "dynamodb:Query"], arns), deny(resource=arns))
    content = template({"Customers": customers, "Worker": worker_role}, Parameters={"Unset": {"Type": "String"}})
    assert codes(content) == set()


def test_a_bound_role_whose_template_has_intrinsic_functions_stays_bound():
    statement = allow(
        [sub("dynamodb:GetItem"), "dynamodb:Query"],
        [
            LEDGER_ARN,
            sub("${Ledger.Arn}/index/*"),
            sub("arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${Ledger}"),
        ],
        Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [sub("TENANT#${!aws:PrincipalTag/tenant_id}")]}},
    )
    assert worker(statement) == {"bound"}


def test_several_constructs_of_one_policy_are_all_named():
    content = template({"Worker": role({**bound(), "X": 1}, {"Ref": "Unset"}, {**bound(), "Effect": "Perhaps"})})
    assert {name for _, name in named(content)} == {"p: X in a statement", "p: Ref Unset as statement", "p: Effect perhaps"}
    assert NOT_JUDGED in codes(content)
