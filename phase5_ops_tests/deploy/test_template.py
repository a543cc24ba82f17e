"""The template: cfn-lint finds nothing, its policies are the printed ones, and what it makes is what `phase5 doctor` asks for."""

import json
import re
import subprocess
import sys
from itertools import chain
from pathlib import Path

import boto3
import pytest
import typer
import yaml

from phase5_ops.cli import app as cli
from phase5_ops.doctor.bucket import look_at_bucket
from phase5_ops.doctor.examination import AwsCaller, Installation
from phase5_ops.doctor.keys import keys_of
from phase5_ops.doctor.machine import LOOKED, RUN_ENDED
from phase5_ops.gate.attestation.keys import SIGNERS
from phase5_ops.gate.inputs.install_check import InstallOutcome, check_table, signers_in
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.permissions.deployed import settings_of
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.settings import Settings, known_variables, load_settings
from phase5_ops_tests.deploy.template import ACCOUNT, GIVEN, PATH, RESOURCES, TEMPLATE, apply, of_type, properties
from phase5_ops_tests.places import ROOT


@pytest.mark.slow
def test_cfn_lint_finds_nothing():
    command = [str(Path(sys.executable).parent / "cfn-lint"), str(PATH)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


# --- policies ---


@pytest.fixture
def settings(monkeypatch, tmp_path) -> Settings:
    """As a person sets them."""
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("PHASE5_RUNBOOK", "https://git.example.com/raw/runbook.md")
    for who in "AB":
        monkeypatch.setenv(f"PHASE5_PROBE_USERS__{who}__TENANT_ID", GIVEN[f"Tenant{who}"])
        monkeypatch.setenv(f"PHASE5_PROBE_USERS__{who}__SECRET_ID", f"phase5/probe-{who.lower()}")
    monkeypatch.setenv("PHASE5_USER_POOL_ID", GIVEN["UserPoolId"])
    monkeypatch.setenv("PHASE5_EVIDENCE_S3_URI", f"s3://{GIVEN['EvidenceBucketName']}/evidence")
    return load_settings()


@pytest.mark.parametrize("purpose", [Purpose.readiness, Purpose.gate, Purpose.doctor, Purpose.init])
def test_the_policies_are_those_that_are_printed_and_no_longer_than_iam_takes(settings, purpose):
    policies = [
        each for name, each in of_type("AWS::IAM::ManagedPolicy").items() if name.startswith(f"{purpose.capitalize()}Policy")
    ]
    assert all(len(re.sub(r"\s", "", json.dumps(each["PolicyDocument"]))) <= 6144 for each in policies)
    statements = list(chain.from_iterable(each["PolicyDocument"]["Statement"] for each in policies))
    assert statements == policy_for(purpose, settings)["Statement"]


def test_the_settings_of_the_policies_are_those_that_a_person_sets(settings):
    names = (GIVEN[name] for name in ("Environment", "EvidenceBucketName", "UserPoolId", "TenantA", "TenantB"))
    assumed = settings_of(*names)
    for name in ("environment", "evidence_s3_uri", "user_pool_id", "probe_users", "tables", "signing", "promotion"):
        assert getattr(assumed, name) == getattr(settings, name), name


def test_each_role_has_the_policies_of_what_it_does():
    having: dict[str, set[str]] = {name: set() for name in of_type("AWS::IAM::Role")}
    for name, policy in of_type("AWS::IAM::ManagedPolicy").items():
        for role in policy["Roles"]:
            having[role].add(name.rstrip("0123456789"))
    assert having == {
        "RunRole": {"ReadinessPolicy", "GatePolicy", "DoctorPolicy"},
        "DaemonRole": {"GatePolicy", "DoctorPolicy"},
        "InitRole": {"InitPolicy"},
        "WebserverRole": set(),
        "WatchRole": set(),
        "ExecutionRole": set(),
    }
    assert sum("RunRole" in policy["Roles"] for policy in of_type("AWS::IAM::ManagedPolicy").values()) <= 10  # AWS's quota


def test_the_webserver_reaches_neither_state_nor_keys_nor_secrets():
    allowed = json.dumps(properties("WebserverRole"))
    assert not re.search(r"dynamodb:|kms:|secretsmanager:|elasticfilesystem:|ecs:RunTask|iam:PassRole|PutObject", allowed)


def test_no_statement_of_the_template_allows_everything():
    for name, role in of_type("AWS::IAM::Role").items():
        for statement in chain.from_iterable(each["PolicyDocument"]["Statement"] for each in role.get("Policies", ())):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            assert not [each for each in actions if "*" in each], name
            if statement["Resource"] == "*":
                assert set(actions) <= {"ecs:DescribeTaskDefinition", "ec2:DescribeNetworkInterfaces"}, name


# --- keys, table, bucket ---


def test_each_key_is_signed_with_by_those_that_its_policy_names_and_by_nobody_else():
    holders = {name: signers_in(key["KeyPolicy"]) for name, key in of_type("AWS::KMS::Key").items()}
    role = f"arn:aws:iam::{ACCOUNT}:role/"
    assert holders == {
        "GateKey": {f"{role}DaemonRole", f"{role}RunRole"},
        "EngReliabilityKey": {f"{role}phase5-signer-eng-reliability"},
        "OpsSreKey": {f"{role}phase5-signer-ops-sre"},
        "SecurityComplianceKey": {f"{role}phase5-signer-security-compliance"},
    }
    aliases = {each["AliasName"]: each["TargetKeyId"] for each in of_type("AWS::KMS::Alias").values()}
    assert {load_settings().signing.key_of(each) for each in SIGNERS} == aliases.keys()
    assert sorted(aliases.values()) == sorted(holders)


def test_what_must_not_be_lost_stays_when_the_stack_is_removed():
    lasting = {name for name, each in RESOURCES.items() if each.get("DeletionPolicy") in ("Retain", "Snapshot")}
    kinds = (
        "DynamoDB::Table",
        "S3::Bucket",
        "KMS::Key",
        "EFS::FileSystem",
        "RDS::DBInstance",
        "SecretsManager::Secret",
        "Logs::LogGroup",
    )
    assert lasting == {name for kind in kinds for name in of_type(f"AWS::{kind}")}
    assert all(RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] for name in lasting)


def test_table_bucket_and_keys_of_the_template_are_as_doctor_asks(aws, settings, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    apply(boto3.Session("sandbox", "sandbox", region_name="us-west-2"))
    installation = Installation(settings, AwsCaller(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:assumed-role/RunRole/task"))
    session = installation.session()
    pin_keys(session.reader, settings, session.state, session.now)
    found = [*check_table(session.reader, "phase5-readiness"), *look_at_bucket(installation), *keys_of([])(installation)]
    assert {each.outcome for each in found} == {InstallOutcome.OK}, found  # not even a note: IAM lets nobody sign
    assert len(found) == 15


# --- tasks ---


CONTAINERS = {name: task["ContainerDefinitions"][0] for name, task in of_type("AWS::ECS::TaskDefinition").items()}


def test_tasks_are_given_what_the_image_and_dagster_yaml_ask_for():
    asked = set(re.findall(r"env: (DAGSTER_\w+)", (ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8")))
    for name, container in CONTAINERS.items():
        given = {each["Name"] for each in (*container["Environment"], *container["Secrets"])}
        assert asked - given == ({"DAGSTER_RUN_TASK_DEFINITION"} if name == "RunTask" else set())  # a run starts no other
        assert {each for each in given if each.startswith("PHASE5_")} <= known_variables()
        assert [each["Value"] for each in container["EnvironmentFiles"]] == [GIVEN["SettingsFileArn"]]
        mounted = [each["ContainerPath"] for each in container.get("MountPoints", ())]
        assert mounted == ([] if name == "WebserverTask" else ["/var/lib/phase5"])
    launcher = yaml.safe_load((ROOT / "deploy" / "dagster.yaml").read_text(encoding="utf-8"))["run_launcher"]["config"]
    assert CONTAINERS["RunTask"]["Name"] == launcher["container_name"]
    access = properties("StateAccessPoint")["PosixUser"]
    assert f"USER {access['Uid']}:{access['Gid']}" in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")


def test_there_are_never_two_daemons():
    service = properties("DaemonService")
    assert (service["DesiredCount"], service["DeploymentConfiguration"]) == (
        1,
        {"MaximumPercent": 100, "MinimumHealthyPercent": 0},
    )


# --- alarms ---


def test_the_watch_and_the_daily_page_are_commands_that_there_are():
    for rule in of_type("AWS::Events::Rule").values():
        (target,) = rule["Targets"]
        (override,) = json.loads(target["Input"])["containerOverrides"]
        assert override["name"] == CONTAINERS["RunTask"]["Name"]
        program, name, *options = override["command"]
        assert (program, name) == ("phase5", "doctor")
        command = typer.main.get_command(cli.app).commands[name]
        command.make_context(name, options)
        assert target["EcsParameters"]["TaskDefinitionArn"] == "RunTask"


def test_each_alarm_is_on_a_metric_that_exists():
    filters = {each["MetricTransformations"][0]["MetricName"]: each for each in of_type("AWS::Logs::MetricFilter").values()}
    assert {each["FilterPattern"].strip('"') for each in filters.values()} == {LOOKED, RUN_ENDED, InstallOutcome.PROBLEM}
    own = {each["MetricName"] for each in of_type("AWS::CloudWatch::Alarm").values() if "MetricName" in each}
    assert own == filters.keys()
    metrics = properties("StateTableThrottled")["Metrics"]
    assert [each["MetricStat"]["Metric"]["MetricName"] for each in metrics if "MetricStat" in each] == [
        "ReadThrottleEvents",
        "WriteThrottleEvents",
    ]


def test_an_alarm_is_raised_where_nobody_looks():
    """A watch that is dead gives no figures, and that is an alarm too."""
    for name in ("SensorNotTicking", "NoReadinessRun"):
        alarm = properties(name)
        assert (alarm["TreatMissingData"], alarm["ComparisonOperator"], alarm["Threshold"]) == (
            "breaching",
            "LessThanThreshold",
            1,
        )
        assert alarm["AlarmActions"] == ["AlarmTopic"]
    assert TEMPLATE["Parameters"]["EvidenceYears"]["MinValue"] * 365 >= load_settings().retention.release_days
