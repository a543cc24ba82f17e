"""In whose name commands call AWS: a readiness run in the role of the settings, people and pipelines as themselves."""

import json
from typing import Any

import pytest
from moto.sts.models import AssumedRole, STSBackend

from phase5_ops.cli import app as cli
from phase5_ops.cli.options import settings_of_environment
from phase5_ops.commands import approvals
from phase5_ops_tests.gate.own_aws import RELEASE
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::123456789012:role/phase5-runs"


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    """A desk at which alice is signed in, in an environment whose runs assume a role."""
    desk = Desk.on(aws, tmp_path / "state")
    desk.seat("alice", monkeypatch)
    monkeypatch.setenv("PHASE5_AWS__ROLE_ARN", ROLE)
    monkeypatch.setattr(approvals, "_show_in_dagster", lambda _settings, _release: None)
    return desk


@pytest.fixture
def assumed(desk, monkeypatch) -> list[str]:
    """The roles that were assumed."""
    asked: list[str] = []
    give = STSBackend.assume_role

    def assume(backend: STSBackend, **given: Any) -> AssumedRole:
        asked.append(given["role_arn"])
        return give(backend, **given)

    monkeypatch.setattr(STSBackend, "assume_role", assume)
    return asked


def phase5(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_a_person_signs_in_their_own_session_although_runs_assume_a_role(desk, assumed, monkeypatch):
    desk.ready()
    desk.states()
    assert phase5(monkeypatch, "sign-off", RELEASE.name, "--role", "ops-sre", "--yes") == 0
    assert phase5(monkeypatch, "status") == 0
    (signature,) = desk.open().state.sign_offs(RELEASE)
    assert (signature.identity, signature.session) == (
        "alice",
        "arn:aws:sts::123456789012:assumed-role/phase5-signer-x/alice",
    )
    assert assumed == []


def test_a_run_is_made_in_the_role(desk, assumed, monkeypatch, capsys):
    assert phase5(monkeypatch, "check", "--row", "1.3", "--format", "json") == 2
    assert set(assumed) == {ROLE}


def test_the_machine_needs_to_be_allowed_to_assume_the_role(desk, monkeypatch, capsys):
    assert phase5(monkeypatch, "iam-policy", "--for", "machine") == 0
    (statement,) = json.loads(capsys.readouterr().out)["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["sts:AssumeRole"], [ROLE])


def test_the_region_of_the_settings_is_enough(monkeypatch):
    monkeypatch.setenv("PHASE5_AWS__REGION", "eu-central-1")
    assert settings_of_environment().aws.region == "eu-central-1"
