"""The runbook, the probe users' secrets and Cost Explorer: each fault gives its line."""

import json

import pytest
from pydantic import SecretStr

from phase5_ops.aws.cost_answers import CostTag
from phase5_ops.doctor import platform
from phase5_ops.doctor.platform import look_at_costs, look_at_probe_users, look_at_runbook
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ProbeUser, ProbeUsers
from phase5_ops_tests.doctor.conftest import given, said

OK, NOTE, UNKNOWN, PROBLEM = InstallOutcome.OK, InstallOutcome.NOTE, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM


def test_the_runbook_is_there_missing_empty_or_not_readable(installation, tmp_path, aws_faults):
    path = tmp_path / "runbook.md"
    path.write_text("# Alarms\n")
    assert set(said(look_at_runbook(given(installation, runbook=str(path))))) == {OK}
    path.write_text(" \n")
    assert "is empty" in said(look_at_runbook(given(installation, runbook=str(path))))[PROBLEM][0]
    assert "is not there" in said(look_at_runbook(given(installation, runbook=str(tmp_path / "none"))))[PROBLEM][0]
    aws_faults.add("denied", service="s3")
    assert set(said(look_at_runbook(given(installation, runbook="s3://docs/runbook.md")))) == {UNKNOWN}


@pytest.fixture
def probing(installation, desk):
    secrets = desk.session.client("secretsmanager")
    secrets.create_secret(Name="phase5/probe-b", SecretString=json.dumps({"username": "b", "password": "hidden-b"}))
    users = ProbeUsers(
        a=ProbeUser(tenant_id="t-a", username="a", password=SecretStr("hidden-a")),
        b=ProbeUser(tenant_id="t-b", secret_id="phase5/probe-b"),
    )
    return given(
        installation,
        probe_users=users,
        control_center_url="https://cc.example.com",
        user_pool_id="us-west-2_x",
        user_pool_client_id="c",
    )


def test_probe_users_that_can_be_had(probing):
    found = said(look_at_probe_users(probing))
    assert set(found) == {OK, NOTE}
    assert found[OK] == ["user name and password of a, b can be had (signing in is not tried)"]
    assert found[NOTE][0].startswith("not set: unscoped, unclaimed,")


def test_each_fault_of_a_probe_user_gives_its_line_and_no_secret(probing, desk, aws_faults):
    secrets = desk.session.client("secretsmanager")
    secrets.update_secret(SecretId="phase5/probe-b", SecretString='{"username": "b", "pass": "hidden-b"}')
    (wrong,) = said(look_at_probe_users(probing))[PROBLEM]
    assert "probe user b: expected the secret phase5/probe-b as JSON with username and password" in wrong.replace("B:", "b:")
    assert "hidden" not in wrong
    secrets.delete_secret(SecretId="phase5/probe-b", ForceDeleteWithoutRecovery=True)
    assert "probe user b: expected the secret phase5/probe-b" in said(look_at_probe_users(probing))[PROBLEM][0]
    aws_faults.add("error500", service="secretsmanager")
    assert "probe user b" in said(look_at_probe_users(probing))[UNKNOWN][0]
    aws_faults.clear()
    aws_faults.add("denied", service="secretsmanager")
    assert "denied" in said(look_at_probe_users(probing))[PROBLEM][0].lower()


def test_settings_that_probing_needs_are_named(installation, probing):
    (wrong,) = said(look_at_probe_users(installation))[PROBLEM]
    assert "PHASE5_CONTROL_CENTER_URL, PHASE5_USER_POOL_ID" in wrong
    assert set(said(look_at_probe_users(given(installation, probe_mode="off")))) == {NOTE}


@pytest.mark.parametrize(
    ("tags", "error", "outcomes"),
    [
        (["tenant", "connector"], None, [OK, OK, OK]),
        (["tenant"], None, [OK, OK, PROBLEM]),
        ([], "AccessDeniedException: User not enabled for cost explorer access", [PROBLEM]),
        ([], "AccessDeniedException: User is not authorized to perform: ce:ListCostAllocationTags", [UNKNOWN]),
    ],
)
def test_cost_explorer(installation, monkeypatch, tags, error, outcomes):
    read = Read("ce:ListCostAllocationTags", "tags", ReadStatus.DENIED if error else ReadStatus.OK, error, 1, "", "")
    known = [CostTag(key, "Active", None) for key in tags] + [CostTag("connector", "Inactive", None)] * ("connector" not in tags)
    monkeypatch.setattr(platform, "read_cost_tags", lambda _reader, _keys: (known, read))
    assert [each.outcome for each in look_at_costs(installation)] == outcomes
