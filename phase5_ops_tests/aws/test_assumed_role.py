"""The role of an environment: every call of a run is made in it, however long the run goes on, and nothing of what people do."""

from typing import Any

import boto3
import pytest
from moto.sts.models import AssumedRole, STSBackend

from phase5_ops.aws.reader import reader_of
from phase5_ops.context import open_run
from phase5_ops.settings import AwsAccess, ConfigurationError, load_settings

ROLE = "arn:aws:iam::123456789012:role/phase5-runs"


@pytest.fixture
def assumed(aws, monkeypatch) -> list[dict[str, Any]]:
    """Every AssumeRole that is asked for; the credentials that are given expire in ten minutes, which is soon."""
    asked: list[dict[str, Any]] = []
    give = STSBackend.assume_role

    def assume(backend: STSBackend, **given: Any) -> AssumedRole:
        asked.append(given)
        return give(backend, **{**given, "duration": 600})

    monkeypatch.setattr(STSBackend, "assume_role", assume)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "machine")
    return asked


def identity(**access: Any) -> str:
    answer = reader_of(load_settings(aws=AwsAccess(**access))).call("sts", "get_caller_identity", "caller")
    return answer.pages[0]["Arn"] if answer.pages else f"{answer.read.status}: {answer.read.error}"


def test_calls_are_made_in_the_role_with_its_external_id_and_session_name(assumed):
    assert identity(role_arn=ROLE, external_id="ticket-17", session_name="gate") == (
        "arn:aws:sts::123456789012:assumed-role/phase5-runs/gate"
    )
    (asked,) = assumed
    assert (asked["role_arn"], asked["external_id"], asked["role_session_name"]) == (ROLE, "ticket-17", "gate")


def test_without_a_role_nothing_is_assumed(assumed):
    assert "assumed-role" not in identity()
    assert assumed == []


def test_credentials_are_asked_for_again_before_they_expire_so_that_a_long_run_goes_on(assumed):
    reader = reader_of(load_settings(aws=AwsAccess(role_arn=ROLE)))
    keys = [reader.access_key_id for _ in range(3) if reader.call("sts", "get_caller_identity", "caller").read.error is None]
    assert len(set(keys)) == 3  # what has ten minutes left is replaced at the next call
    assert len(assumed) >= 3


def test_a_role_that_cannot_be_assumed_is_denied_and_named_with_its_remedy(assumed, aws_faults):
    aws_faults.add("denied", service="sts", operation="AssumeRole")
    said = identity(role_arn=ROLE)
    assert said.startswith(f"denied: the role {ROLE} (PHASE5_AWS__ROLE_ARN) could not be assumed: ")
    assert "its trust policy must name the caller" in said
    assert "phase5 iam-policy --for machine" in said


def test_a_role_cannot_be_assumed_without_credentials(assumed, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert f"the role {ROLE} (PHASE5_AWS__ROLE_ARN) could not be assumed" in identity(role_arn=ROLE)


def test_the_region_of_the_settings_goes_before_that_of_the_machine(aws):
    assert reader_of(load_settings(aws=AwsAccess(region="eu-central-1"))).region == "eu-central-1"
    assert reader_of(load_settings()).region == "us-west-2"


def test_people_act_as_themselves_in_the_environments_region():
    own = load_settings(aws=AwsAccess(role_arn=ROLE, external_id="ticket-17", region="eu-central-1")).with_own_credentials
    assert own.aws == AwsAccess(region="eu-central-1")


def test_evidence_is_copied_in_the_role(assumed, tmp_path):
    boto3.client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    given = {"evidence_s3_uri": "s3://kept/phase5", "state_dir": tmp_path, "aws": AwsAccess(role_arn=ROLE)}
    open_run(load_settings(**given), "run-1").store.write_verdict("run-1", "check", {"verdict": "PASS"})
    assert {asked["role_arn"] for asked in assumed} == {ROLE}
    (kept,) = boto3.client("s3").list_objects_v2(Bucket="kept")["Contents"]
    assert kept["Key"] == "phase5/run-1/verdicts/check.json"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ROLE_ARN", "phase5-runs"),
        ("ROLE_ARN", "arn:aws:iam::123456789012:user/phase5"),
        ("EXTERNAL_ID", "without-a-role"),
        ("SESSION_NAME", "a name"),
        ("REGION", "Frankfurt"),
    ],
)
def test_what_cannot_be_meant_is_refused(monkeypatch, variable, value):
    monkeypatch.setenv(f"PHASE5_AWS__{variable}", value)
    with pytest.raises(ConfigurationError, match=r"PHASE5_AWS"):
        load_settings()
