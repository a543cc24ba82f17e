"""Constructs of templates beside statements: loops, macros, nested stacks, SAM, attached policies, tables' own policies."""

import json

import pytest

from phase5_ops.sections.isolation.roles.template import UnreadableTemplate, read_template
from phase5_ops_tests.sections.isolation.roles.templates import (
    BINDING,
    KEYLESS,
    LEDGER_ARN,
    NO_VALUE,
    NOT_JUDGED,
    TABLE,
    UNSCOPED,
    allow,
    bound,
    codes,
    deny,
    document,
    if_,
    named,
    role,
    rows,
    template,
)

UNSET = {"Unset": {"Type": "String", "Default": ""}}
INCLUDE = {"Name": "AWS::Include", "Parameters": {"Location": "s3://b/x.yaml"}}


def function(**properties):
    return {"Type": "AWS::Serverless::Function", "Properties": {"FunctionName": "fn", **properties}}


def attached(kind, **properties):
    return {"Type": kind, "Properties": {"PolicyDocument": document(allow()), **properties}}


# What stands in the place of resources


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({"Fn::Transform": INCLUDE}, ("(template)", "Fn::Transform AWS::Include s3://b/x.yaml in Resources")),
        ({"Fn::ForEach::R": ["N", {"Ref": "Names"}, {"R${N}": role(allow())}]}, ("(template)", "Fn::ForEach::R in Resources")),
        ({"Fn::ForEach::R": "odd"}, ("(template)", "Fn::ForEach::R in Resources")),
        ({"Fn::If": ["C", {}, {}]}, ("(template)", "Fn::If in Resources")),
        (
            {"N": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": "s3://b/n.yaml"}}},
            ("N", "AWS::CloudFormation::Stack s3://b/n.yaml"),
        ),
        ({"N": {"Type": "AWS::CloudFormation::Stack"}}, ("N", "AWS::CloudFormation::Stack")),
        ({"N": {"Type": "AWS::CloudFormation::StackSet", "Properties": {}}}, ("N", "AWS::CloudFormation::StackSet")),
        (
            {"N": {"Type": "AWS::Serverless::Application", "Properties": {"Location": "./app.yaml"}}},
            ("N", "AWS::Serverless::Application ./app.yaml"),
        ),
        (
            {"N": {"Type": "AWS::Serverless::Connector", "Properties": {"Permissions": ["Read"]}}},
            ("N", "AWS::Serverless::Connector"),
        ),
        ({"N": {"Type": "AWS::Serverless::GraphQLApi", "Properties": {}}}, ("N", "AWS::Serverless::GraphQLApi")),
        ({"N": {"Type": "AWS::SSO::PermissionSet", "Properties": {"Name": "ops"}}}, ("N", "AWS::SSO::PermissionSet ops")),
        ({"N": {"Type": "AWS::Serverless::Agent", "Properties": {}}}, ("N", "AWS::Serverless::Agent")),
        ({"N": {"Type": "My::Roles::MODULE", "Properties": {}}}, ("N", "My::Roles::MODULE")),
        ({"N": {"Type": "AWS::IAM::RoleSet", "Properties": {}}}, ("N", "AWS::IAM::RoleSet")),
        ({"N": {"Type": "AWS::DynamoDB::TablePolicy", "Properties": {}}}, ("N", "AWS::DynamoDB::TablePolicy")),
        (
            {"N": {"Type": "Custom::Attach", "Properties": {"ServiceToken": "x", "Role": {"Ref": "Bound"}}}},
            ("Bound", "Custom::Attach N, which is given this role"),
        ),
        (
            {
                "N": {
                    "Type": "AWS::CloudFormation::CustomResource",
                    "Properties": {"Create": {"Fn::Join": ["", ['{"role":"', {"Fn::GetAtt": ["Bound", "Arn"]}, '"}']]}},
                }
            },
            ("Bound", "AWS::CloudFormation::CustomResource N, which is given this role"),
        ),
        (
            {"R": role(bound(), RoleName="cc-r"), "N": {"Type": "Custom::Attach", "Properties": {"Roles": [{"Name": "cc-r"}]}}},
            ("cc-r", "Custom::Attach N, which is given this role"),
        ),
        ({"N": "text"}, ("N", "N: text as resource")),
        ({"N": {"Type": {"Ref": "Unset"}}}, ("N", "N: Ref Unset as Type")),
        (
            {"N": {"Type": "AWS::IAM::Role", "Properties": {"Fn::Transform": INCLUDE}}},
            ("N", "Fn::Transform AWS::Include s3://b/x.yaml"),
        ),
        ({"N": {"Type": "AWS::IAM::Role", "Properties": if_({}, {})}}, ("N", "N: Fn::If IsProd as Properties")),
        ({"N": {"Type": "AWS::S3::Bucket", "Fn::Transform": INCLUDE}}, ("N", "Fn::Transform AWS::Include s3://b/x.yaml")),
        ({"N": {**role(bound()), "Fn::Transform": INCLUDE}}, ("N", "Fn::Transform AWS::Include s3://b/x.yaml")),
        ({"N": role(bound(), Fancy=1)}, ("N", "property Fancy")),
        ({"N": role(bound(), Policies={"Ref": "Unset"})}, ("N", "Policies: Ref Unset")),
        ({"N": role(bound(), Policies=[{"PolicyName": "x"}])}, ("N", "Policies: a mapping of PolicyName")),
        (
            {"N": role(bound(), Policies=[if_({"Fn::Transform": INCLUDE})])},
            ("N", "Policies: Fn::Transform AWS::Include s3://b/x.yaml"),
        ),
        ({"N": role(bound(), ManagedPolicyArns=[{"Fn::ImportValue": "x"}])}, ("N", "ManagedPolicyArns: Fn::ImportValue x")),
        ({"N": role(bound(), ManagedPolicyArns={"Ref": "Names"})}, ("N", "ManagedPolicyArns: Ref Names")),
        ({"N": role(bound(), ManagedPolicyArns=["{{resolve:ssm:/arn}}"])}, ("N", "ManagedPolicyArns: {{resolve:ssm:/arn}}")),
        ({"N": role(bound(), ManagedPolicyArns=["arn:aws:iam::aws:policy/AWSNew"])}, ("N", "arn:aws:iam::aws:policy/AWSNew")),
        ({"N": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Ref": "Unset"}}}}, ("N", "Role: Ref Unset")),
        (
            {"N": {"Type": "AWS::Lambda::Function", "Properties": {"Role": "arn:aws:iam::1:role/x"}}},
            ("N", "Role: arn:aws:iam::1:role/x"),
        ),
        (
            {"N": {"Type": "AWS::Lambda::Function", "Properties": {"Fn::Transform": INCLUDE}}},
            ("N", "Fn::Transform AWS::Include s3://b/x.yaml"),
        ),
        (
            {
                "N": {
                    "Type": "AWS::StepFunctions::StateMachine",
                    "Properties": {"RoleArn": {"Fn::GetAtt": ["Nested", "Outputs.Role"]}},
                }
            },
            ("N", "RoleArn: Fn::GetAtt Nested.Outputs.Role"),
        ),
        ({"N": {**function(), "Connectors": {"ToLedger": {}}}}, ("fn", "SAM connector ToLedger")),
        ({"N": {"Type": "AWS::S3::Bucket", "Connectors": {"ToLedger": {}}}}, ("N", "SAM connector ToLedger")),
        ({"N": function(Role={"Fn::ImportValue": "r"})}, ("N", "Role: Fn::ImportValue r")),
        (
            {"N": function(Policies=[{"DynamoDBEverythingPolicy": {"TableName": "x"}}])},
            ("fn", "SAM policy template DynamoDBEverythingPolicy"),
        ),
        ({"N": function(Policies=[{"Fn::ImportValue": "x"}])}, ("fn", "Policies: Fn::ImportValue x")),
        ({"N": function(Policies="AWSSomethingNew")}, ("fn", "AWSSomethingNew")),
        ({"N": function(Events={"Fn::Transform": INCLUDE})}, ("fn", "Events: Fn::Transform AWS::Include s3://b/x.yaml")),
        ({"N": function(Events={"E": {"Type": "NewStream"}})}, ("fn", "event E: a mapping of Type")),
        ({"N": function(Events={"E": if_({"Type": "DynamoDB"}, {"Type": {"Ref": "Unset"}})})}, ("fn", "event E: Ref Unset")),
        ({"N": function(Policies=[], **{"Fn::Transform": INCLUDE})}, ("fn", "Fn::Transform AWS::Include s3://b/x.yaml")),
        (
            {"P": attached("AWS::IAM::Policy", Roles=[{"Ref": "Bound"}], PolicyDocument={"Ref": "Unset"})},
            ("Bound", "P: Ref Unset as policy document"),
        ),
        ({"T": {**TABLE, "Properties": {"ResourcePolicy": {"Ref": "Unset"}}}}, ("table T", "resource policy of T: Ref Unset")),
        (
            {"T": {**TABLE, "Properties": {"ResourcePolicy": {"PolicyDocument": {"Ref": "Unset"}}}}},
            ("table T", "resource policy of T: Ref Unset as policy document"),
        ),
    ],
)
def test_what_is_not_evaluated_is_named_at_a_role_or_in_its_place(resources, expected):
    parameters = {**UNSET, "Names": {"Type": "CommaDelimitedList", "Default": "A,B"}}
    assert expected in named(template(resources, Parameters=parameters))


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"Transform": "MyMacro"}, "Transform MyMacro"),
        ({"Transform": ["AWS::Serverless-2016-10-31", "MyMacro"]}, "Transform MyMacro"),
        ({"Transform": INCLUDE}, "Transform AWS::Include s3://b/x.yaml"),
        ({"Fn::Transform": {"Name": "MyMacro"}}, "Fn::Transform MyMacro"),
        ({"Modules": {}}, "section Modules"),
        ({"Mappings": {"Fn::Transform": INCLUDE}}, "Fn::Transform AWS::Include s3://b/x.yaml in Mappings"),
        ({"Globals": {"Function": {"Policies": ["AmazonDynamoDBFullAccess"]}}}, "Policies of Function in Globals"),
        ({"Globals": {"Function": {"Fn::Transform": INCLUDE}}}, "Fn::Transform AWS::Include s3://b/x.yaml in Globals"),
    ],
)
def test_what_may_change_the_whole_template_is_named(sections, expected):
    assert ("(template)", expected) in named(template({}, **sections))


def test_a_template_that_is_understood_has_nothing_that_is_not_judged():
    resources = {
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {}},
        "Api": {"Type": "AWS::Serverless::Api", "Properties": {"DefinitionBody": {"Fn::Transform": INCLUDE}}},
        "Clean": {"Type": "Custom::Cleaner", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Code", "Arn"]}}},
        "Code": {"Type": "AWS::Lambda::Function", "Properties": {"Role": {"Fn::GetAtt": ["Bound", "Arn"]}}},
        "Machine": {
            "Type": "AWS::Serverless::StateMachine",
            "Properties": {"Policies": [{"LambdaInvokePolicy": {"FunctionName": "x"}}]},
        },
        "Function": function(
            Policies=["AWSLambdaBasicExecutionRole", {"SQSPollerPolicy": {"QueueName": "q"}}, NO_VALUE],
            Events={"Get": {"Type": "Api", "Properties": {}}, "Queue": {"Type": "SQS", "Properties": {}}},
            Environment={"Variables": {"Fn::Transform": INCLUDE}},
        ),
        "Profile": {"Type": "AWS::IAM::InstanceProfile", "Properties": {"Roles": [{"Ref": "Bound"}]}},
        "Basic": role(
            bound(),
            ManagedPolicyArns=[{"Fn::Sub": "arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"}],
        ),
    }
    sections = {
        "Transform": ["AWS::LanguageExtensions", "AWS::Serverless-2016-10-31"],
        "Metadata": {},
        "Outputs": {},
        "Rules": {},
    }
    assert {(row.role, row.code or row.result) for row in rows(template(resources, **sections))} == {
        ("Bound", "bound"),
        ("Basic", "bound"),
    }


# Loops


def test_loops_over_literal_lists_are_written_out_at_any_depth():
    inner = {
        "Fn::ForEach::Inner": [
            "Stage",
            ["Dev", "Prod"],
            {"Role${Name}${Stage}": role(allow(resource={"Fn::Sub": "arn:aws:dynamodb:*:*:table/${Name}"}))},
        ]
    }
    found = rows(template({"Fn::ForEach::Outer": ["Name", ["cc-native-ledger", "other"], inner]}))
    assert {row.role for row in found if row.code} == {"Rolecc-native-ledgerDev", "Rolecc-native-ledgerProd"}
    plain = {
        "Fn::ForEach::R": [
            "Name",
            ["cc-native", "x"],
            {"R&{Name}": role(allow(resource={"Fn::Join": ["", ["arn:aws:dynamodb:*:*:table/", {"Ref": "Name"}, "*"]]}))},
        ]
    }
    assert {row.role for row in rows(template(plain)) if row.code} == {"Rccnative"}


def test_loops_within_a_resource_are_written_out_or_named():
    looped = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "Fn::ForEach::P": ["X", ["Policies"], {"${X}": [{"PolicyName": "p", "PolicyDocument": document(allow())}]}]
        },
    }
    assert codes(template({"Worker": looped})) == {UNSCOPED, KEYLESS}
    looped["Properties"]["Fn::ForEach::P"][1] = {"Ref": "Names"}
    assert ("Worker", "Fn::ForEach::P") in named(template({"Worker": looped}))


def test_a_loop_that_writes_over_a_resource_is_named():
    again = {"Worker": role(bound()), "Fn::ForEach::R": ["N", ["Worker"], {"${N}": role(allow())}]}
    assert ("(template)", "Worker stands twice after Fn::ForEach") in named(template(again))


def test_a_loop_without_end_is_not_written_out():
    body = {"R${A}": role(allow())}
    for name in "ABCDE":
        body = {f"Fn::ForEach::{name}": [name, [str(n) for n in range(20)], body]}
    assert any("Fn::ForEach" in construct for _, construct in named(template(body)))


# SAM


def test_what_sam_puts_into_a_role_counts():
    stream = {"Stream": {"Type": "DynamoDB", "Properties": {"Stream": {"Fn::GetAtt": ["Ledger", "StreamArn"]}}}}
    assert codes(template({"Fn": function(Events=stream)}), "fn") == {KEYLESS}
    assert codes(template({"Fn": function(Events={"E": if_(stream["Stream"])})}), "fn") == {KEYLESS}
    machine = {
        "Type": "AWS::Serverless::StateMachine",
        "Properties": {"Name": "m", "Policies": {"DynamoDBWritePolicy": {"TableName": {"Ref": "Ledger"}}}},
    }
    assert codes(template({"M": machine}), "m") == {UNSCOPED}
    assert codes(template({"Fn": function(Policies="AmazonDynamoDBFullAccess")}), "fn") == {UNSCOPED, KEYLESS}
    assert codes(template({"Fn": function(Policies=document(allow()))}), "fn") == {UNSCOPED, KEYLESS}
    anywhere = {"DynamoDBReadPolicy": {"TableName": {"Ref": "Unset"}}}
    assert UNSCOPED in codes(template({"Fn": function(Policies=[if_(NO_VALUE, anywhere)])}, Parameters=UNSET), "fn")
    assert codes(template({"Fn": function(Policies=[{"DynamoDBReadPolicy": {"TableName": "other"}}])}), "fn") == set()


def test_a_function_whose_role_may_be_elsewhere_is_judged_as_if_it_were_made_and_named():
    crud = [{"DynamoDBCrudPolicy": {"TableName": {"Ref": "Ledger"}}}]
    found = template({"Fn": function(Role=if_({"Ref": "Unset"}), Policies=crud)}, Parameters=UNSET)
    assert codes(found, "fn") == {UNSCOPED, KEYLESS, NOT_JUDGED}
    own = template({"Fn": function(Role={"Fn::GetAtt": ["Bound", "Arn"]}, Policies=crud)})
    assert {row.role for row in rows(own)} == {"Bound"}


# Policies that stand beside their roles


@pytest.mark.parametrize(
    "target",
    [{"Ref": "Worker"}, "named", {"Ref": "Unset"}, if_({"Ref": "Worker"}), {"Fn::Sub": "${Unset}"}, {"Fn::ImportValue": "r"}],
)
@pytest.mark.parametrize("kind", ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"])
def test_a_policy_counts_for_every_role_that_it_may_be_attached_to(kind, target):
    resources = {"Worker": role(RoleName="named"), "P": attached(kind, Roles=[target])}
    assert codes(template(resources, Parameters=UNSET), "named") == {UNSCOPED, KEYLESS}


def test_a_policy_for_a_role_elsewhere_is_judged_in_its_place():
    found = template({"P": attached("AWS::IAM::RolePolicy", RoleName="somewhere")})
    assert codes(found, "somewhere") == {UNSCOPED, KEYLESS}
    alone = json.dumps({"Resources": {"P": attached("AWS::IAM::Policy", Roles=[{"Ref": "X"}])}})
    assert codes(alone, "role of P") == {UNSCOPED, KEYLESS}


def test_a_policy_may_be_attached_to_the_role_that_sam_makes():
    resources = {"Fn": function(), "P": attached("AWS::IAM::Policy", Roles=[{"Ref": "FnRole"}])}
    assert codes(template(resources), "fn") == {UNSCOPED, KEYLESS}
    assert codes(template(resources), "Bound") == {"bound"}


@pytest.mark.parametrize("condition", [{"Condition": "IsProd"}, {}])
@pytest.mark.parametrize("kind", ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"])
def test_a_deny_beside_its_role_counts_unless_it_is_conditional(kind, condition):
    denying = {**attached(kind, Roles=[{"Ref": "Worker"}], PolicyDocument=document(deny())), **condition}
    assert codes(template({"Worker": role(allow()), "P": denying})) == ({UNSCOPED, KEYLESS} if condition else set())


@pytest.mark.parametrize("reference", [{"Ref": "P"}, {"Fn::GetAtt": ["P", "PolicyArn"]}, if_({"Ref": "P"})])
def test_a_managed_policy_of_the_template_counts_where_it_is_named(reference):
    resources = {"Worker": role(ManagedPolicyArns=[reference]), "P": attached("AWS::IAM::ManagedPolicy")}
    assert codes(template(resources)) == {UNSCOPED, KEYLESS}


def test_a_deny_of_a_policy_that_may_be_attached_elsewhere_takes_nothing_away():
    denying = attached("AWS::IAM::Policy", Roles=[{"Ref": "Unset"}], PolicyDocument=document(deny()))
    only = {"Resources": {"Worker": role(allow()), "P": denying, "Ledger": TABLE}}
    assert UNSCOPED in codes(template(only["Resources"], Parameters=UNSET))


def test_a_boundary_limits_only_where_it_is_certain():
    limits = attached("AWS::IAM::ManagedPolicy", PolicyDocument=document(allow(Condition=BINDING)))
    for boundary, expected in (
        ({"Ref": "Limits"}, set()),
        (if_({"Ref": "Limits"}), {UNSCOPED}),
        ({"Ref": "Unset"}, {UNSCOPED}),
        ("arn:aws:iam::1:policy/x", {UNSCOPED}),
    ):
        worker = role(allow("dynamodb:PutItem", LEDGER_ARN), PermissionsBoundary=boundary)
        found = codes(template({"Worker": worker, "Limits": limits}, Parameters=UNSET))
        assert found - {"bound"} == expected


def test_a_boundary_that_may_mean_a_table_by_name_lets_its_requests_through():
    resources = {
        "Limits": attached(
            "AWS::IAM::ManagedPolicy", PolicyDocument=document(allow(resource="arn:aws:dynamodb:*:*:table/*-customers"))
        ),
        "Customers": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": {"Fn::Sub": "${Unset}-customers"}}},
        "Worker": role(allow("dynamodb:GetItem"), PermissionsBoundary={"Ref": "Limits"}),
    }
    assert codes(template(resources, Parameters=UNSET)) == {UNSCOPED}


# Tables' own policies


def tabled(*statements, **properties):
    own = {"ResourcePolicy": {"PolicyDocument": document(*statements)}} if statements else {}
    return {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "cc-native-ledger", **own, **properties}}


def to(principal, **more):
    return {**allow("dynamodb:*"), "Principal": principal, **more}


@pytest.mark.parametrize(
    ("principal", "holders"),
    [
        ({"AWS": {"Fn::GetAtt": ["Worker", "Arn"]}}, {"w"}),
        ({"AWS": [{"Fn::Sub": "${Worker.Arn}"}]}, {"w"}),
        ({"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:role/path/w"}}, {"w"}),
        ({"AWS": if_({"Fn::GetAtt": ["Worker", "Arn"]})}, {"w"}),
        (if_({"AWS": {"Fn::GetAtt": ["Worker", "Arn"]}}, {"AWS": {"Fn::GetAtt": ["Fn1Role", "Arn"]}}), {"w", "fn"}),
        ("*", {"w", "fn", "Bound", "any principal (*)"}),
        ({"AWS": "*"}, {"w", "fn", "Bound", "any principal (*)"}),
        ({"AWS": "arn:aws:iam::999999999999:root"}, {"arn:aws:iam::999999999999:root"}),
        ({"AWS": "999999999999"}, {"999999999999"}),
        ({"AWS": "arn:aws:iam::999999999999:role/other"}, {"arn:aws:iam::999999999999:role/other"}),
        ({"AWS": "arn:aws:sts::1:assumed-role/w/session"}, {"w", "arn:aws:sts::1:assumed-role/w/session"}),
        ({"Service": "redshift.amazonaws.com"}, {"Service redshift.amazonaws.com"}),
        ({"AWS": {"Fn::Sub": "arn:aws:iam::${AWS::AccountId}:root"}}, set()),
        ({"AWS": {"Ref": "AWS::AccountId"}}, set()),
    ],
)
def test_a_tables_policy_counts_for_those_whom_it_names(principal, holders):
    resources = {"Ledger": tabled(to(principal)), "Worker": role(RoleName="w"), "Fn1": function()}
    found = {row.role for row in rows(template(resources, Parameters=UNSET)) if row.code == UNSCOPED}
    assert found == holders


@pytest.mark.parametrize(
    "principal",
    ["AWS", {"Fn::Transform": INCLUDE, "AWS": []}, {"AWS": {"Ref": "Unset"}}, {"Ref": "Unset"}, {"AWS": "{{resolve:ssm:/role}}"}],
)
def test_a_principal_that_is_not_known_may_be_any_role(principal):
    found = {
        row.role
        for row in rows(template({"Ledger": tabled(to(principal)), "Worker": role()}, Parameters=UNSET))
        if row.code == UNSCOPED
    }
    assert {"Worker", "Bound"} < found


def test_everybody_but_some_is_everybody():
    other = {**allow(), "NotPrincipal": {"AWS": {"Fn::GetAtt": ["Bound", "Arn"]}}}
    assert UNSCOPED in codes(template({"Ledger": tabled(other), "Worker": role()}))


@pytest.mark.parametrize(
    "properties",
    [
        {"ResourcePolicy": if_({"PolicyDocument": document(to("*"))})},
        {"ResourcePolicy": {"PolicyDocument": if_(document(to("*")))}},
        {"Replicas": [{"Region": "us-east-1", "ResourcePolicy": {"PolicyDocument": document(to("*"))}}]},
        {"Replicas": if_([{"ResourcePolicy": {"PolicyDocument": document(to("*"))}}])},
        {"StreamSpecification": {"ResourcePolicy": {"PolicyDocument": document(to("*"))}}},
        {"Replicas": [{"ReplicaStreamSpecification": {"ResourcePolicy": {"PolicyDocument": document(to("*"))}}}]},
    ],
)
@pytest.mark.parametrize("kind", ["AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable"])
def test_a_tables_policy_is_found_at_any_depth(kind, properties):
    table = {"Type": kind, "Properties": {"TableName": "cc-native-ledger", **properties}}
    assert KEYLESS in codes(template({"Ledger": table, "Worker": role()}))


def test_a_tables_policy_reaches_no_other_table():
    resources = {"Ledger": tabled(to("*")), "Other": {"Type": "AWS::DynamoDB::Table", "Properties": {"TableName": "cc-other"}}}
    assert {row.table for row in rows(template(resources)) if row.code == UNSCOPED} == {"cc-native-ledger"}


def test_a_deny_of_a_tables_policy_counts_where_it_is_certain():
    worker = {"Worker": role(allow(["dynamodb:GetItem", "dynamodb:Query"], [LEDGER_ARN, {"Fn::Sub": "${Ledger.Arn}/index/*"}]))}
    denying = {**deny(), "Principal": "*"}
    conditional = {**tabled(denying), "Condition": "IsProd"}
    for table, expected in (
        (tabled(denying), set()),
        (tabled({**deny(), "Principal": {"AWS": {"Fn::GetAtt": ["Worker", "Arn"]}}}), set()),
        (tabled({**deny(), "Principal": {"AWS": {"Fn::GetAtt": ["Bound", "Arn"]}}}), {UNSCOPED}),
        (tabled({**deny(), "Principal": {"AWS": if_({"Fn::GetAtt": ["Worker", "Arn"]})}}), {UNSCOPED}),
        (tabled({**deny(), "NotPrincipal": {"AWS": {"Fn::GetAtt": ["Bound", "Arn"]}}}), {UNSCOPED}),
        (tabled(if_(denying)), {UNSCOPED}),
        (conditional, {UNSCOPED}),
    ):
        assert codes(template({"Ledger": table, **worker})) == expected


# Text


@pytest.mark.parametrize(
    "text",
    [
        "Resources:\n  A: {Type: AWS::IAM::Role}\n  A: {Type: AWS::S3::Bucket}\n",
        '{"Resources": {"A": {}, "A": {}}}',
        "Resources: &a\n  A: *a\n",
        "Resources: {A: {Type: AWS::IAM::Role, Properties: {Policies: !Sub [}}}",
    ],
)
def test_a_template_that_says_two_things_or_has_no_end_is_no_template(text):
    with pytest.raises(UnreadableTemplate):
        read_template(text)


def test_short_forms_and_dates_mean_what_the_long_ones_mean():
    text = """
Parameters: {Stage: {Type: String, AllowedValues: [dev, prod]}}
Resources:
  Ledger: {Type: AWS::DynamoDB::Table, Properties: {TableName: cc-native-ledger}}
  Worker:
    Type: AWS::IAM::Role
    Properties:
      Policies:
        - PolicyName: p
          PolicyDocument:
            Version: 2012-10-17
            Statement:
              - Effect: Allow
                Action: !Split [',', 'dynamodb:GetItem,dynamodb:Query']
                Resource: [!GetAtt Ledger.Arn, !Join ['/', [!GetAtt Ledger.Arn, 'index', !Select [0, ['*']]]]]
                Condition: {'ForAllValues:StringEquals': {'dynamodb:LeadingKeys': ['TENANT#${aws:PrincipalTag/tenant_id}']}}
"""
    assert codes(text) == {"bound"}
    assert codes(text.replace("Effect: Allow", "Effect: !If [A, Allow, !Ref 'AWS::NoValue']")) == {"bound", NOT_JUDGED}
