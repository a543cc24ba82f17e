"""The page as a whole: its exit codes, its formats, what it calls and changes, and what it says on a sandbox."""

import json
from collections.abc import Callable

import pytest
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse
from pydantic import SecretStr

from phase5_ops.aws.reader import CallMeter
from phase5_ops.cli import app as cli
from phase5_ops.commands import doctor
from phase5_ops.doctor import examination
from phase5_ops.gate.inputs.install_check import Checked, InstallOutcome
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ProbeUser, ProbeUsers, load_settings
from phase5_ops_tests.gate.people import Desk

#: An operation of S3 -> the action that allows it, where that has another name.
ACTIONS = {
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
}


def phase5(monkeypatch, capsys, *arguments) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr()
    return end.value.code, said.out, said.err


def test_a_wrong_setting_is_on_the_page_itself(monkeypatch, capsys):
    monkeypatch.setenv("PHASE5_PROBE_MOD", "full")
    code, out, _ = phase5(monkeypatch, capsys, "doctor")
    assert code == 3
    assert "settings  PROBLEM  unknown setting PHASE5_PROBE_MOD; did you mean PHASE5_PROBE_MODE?" in out
    assert "-> correct it" in out
    code, out, _ = phase5(monkeypatch, capsys, "doctor", "--format", "json")
    content = json.loads(out)
    assert (code, content["exit_code"], content["environment"], len(content["checks"])) == (3, 3, None, 1)


def test_without_a_region_this_machine_is_still_looked_at(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    code, out, _ = phase5(monkeypatch, capsys, "doctor", "--format", "json")
    checks = json.loads(out)["checks"]
    assert code == 3
    assert next(each for each in checks if each["part"] == "credentials")["seen"] == "no AWS region is configured"
    assert {each["outcome"] for each in checks if each["part"] == "keys"} == {"unknown"}
    assert f"{tmp_path} can be written" in {each["seen"] for each in checks}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--for", "nobody"], "--for nobody: "),
        (["--role", "ops-sre"], "--role goes with --for signer"),
        (["--for", "signer"], "--for signer needs --role"),
        (["--for", "signer", "--role", "x"], "--for signer needs --role"),
        (["--part", "dagster"], "--part dagster; did you mean Dagster?"),
    ],
)
def test_wrong_usage(monkeypatch, capsys, arguments, words):
    code, out, err = phase5(monkeypatch, capsys, "doctor", *arguments)
    assert (code, out) == (3, "")
    assert words in err


def test_a_sandbox_says_what_it_cannot_show(start: Callable[[str], Sandbox], monkeypatch, capsys, tmp_path):
    start("healthy")
    (tmp_path / "state").mkdir()
    code, out, _ = phase5(monkeypatch, capsys, "doctor", "--format", "json")
    checks = json.loads(out)["checks"]
    assert code == 1  # neither is anything pinned there, nor has a daemon ever looked
    assert list(dict.fromkeys(each["part"] for each in checks)) == ["settings", "credentials", "clock", *doctor.PARTS]
    assert [each["seen"] for each in checks if each["outcome"] == "unknown"] == [
        "not tried: the embedded sandbox checks no permissions",
    ]
    assert "the caller may sign as gate (dry run of kms:Sign)" in {each["seen"] for each in checks}
    assert all(each["remedy"] for each in checks if each["outcome"] in ("unknown", "problem"))
    well = ("platform", "runbook", "probe users", "costs", "clock", "credentials", "state folder")
    assert {each["outcome"] for each in checks if each["part"] in well} <= {"ok", "note"}


def test_chosen_parts_alone_are_looked_at(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    _, out, _ = phase5(monkeypatch, capsys, "doctor", "--part", "state folder", "--part", "keys", "--format", "json")
    parts = [each["part"] for each in json.loads(out)["checks"]]
    assert list(dict.fromkeys(parts)) == ["settings", "credentials", "keys", "state folder"]


def test_the_page_fits_and_counts(monkeypatch):
    found = [
        examination.Examined("keys", Checked(InstallOutcome.OK, "fine")),
        examination.Examined("keys", Checked(InstallOutcome.PROBLEM, "word " * 40, "mend it")),
        examination.Examined("gate", Checked(InstallOutcome.UNKNOWN, "\x1b[31mred", "ask")),
    ]
    text = doctor.as_text(doctor.Diagnosis("production", tuple(found), 1), 60)
    assert max(map(len, text.splitlines())) <= 60
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "1 not as it must be, 1 not known, 1 as it must be"
    assert text.splitlines()[0] == "keys  ok       fine"


# --- what it calls ---


@pytest.fixture
def whole(aws, tmp_path, monkeypatch) -> Desk:
    """Settings in which everything is used, and the credentials of a role."""
    users = ProbeUsers(
        a=ProbeUser(tenant_id="t-a", username="a", password=SecretStr("x")), b=ProbeUser(tenant_id="t-b", secret_id="probe/b")
    )
    desk = Desk.on(
        aws,
        tmp_path,
        evidence_s3_uri="s3://kept/phase5",
        runbook="s3://docs/runbook.md",
        probe_users=users,
        user_pool_id="us-west-2_x",
        user_pool_client_id="c",
        control_center_url="https://cc.example.com",
    )
    where = {"LocationConstraint": "us-west-2"}
    desk.session.client("s3").create_bucket(Bucket="kept", CreateBucketConfiguration=where)
    desk.session.client("iam").create_role(RoleName="daemon", AssumeRolePolicyDocument="{}")
    arn = "arn:aws:iam::123456789012:role/daemon"
    made = desk.session.client("sts").assume_role(RoleArn=arn, RoleSessionName="task")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", made["SessionToken"])
    answer = ActionResult({"EvaluationResults": []})
    monkeypatch.setattr(IamResponse, "simulate_principal_policy", lambda _: answer, raising=False)
    return desk


def test_it_calls_what_its_policy_allows_and_nothing_else(whole, monkeypatch):
    meter = CallMeter()
    monkeypatch.setattr(doctor, "Installation", lambda *given: examination.Installation(*given, meter=meter))
    policy = policy_for(Purpose.doctor, whole.settings)["Statement"]
    page = doctor.diagnose(whole.settings, {"doctor": policy}, ["gate"])
    called = {ACTIONS.get(each, each) for each in meter.calls}
    allowed = {action for each in policy for action in each["Action"]}
    assert called - {"kms:Sign"} == allowed - {"s3:ListBucket"}  # which S3 asks for to say that an object is not there
    assert "kms:Sign" in {action for each in policy_for(Purpose.gate, whole.settings)["Statement"] for action in each["Action"]}
    assert not [each for each in called if each.split(":")[1].startswith(("Put", "Create", "Update", "Delete", "Tag"))]
    assert page.exit_code == 1


def test_it_changes_nothing_on_this_machine(whole, tmp_path, monkeypatch):
    before = sorted(tmp_path.rglob("*"))
    doctor.diagnose(whole.settings, {}, [])
    assert sorted(tmp_path.rglob("*")) == before


def test_an_aws_that_is_away_is_said_once_and_the_page_still_ends(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    page = doctor.diagnose(load_settings(state_dir=tmp_path), {}, [])
    of = {each.part: each.checked for each in page.found}
    assert of["credentials"].outcome is InstallOutcome.UNKNOWN
    assert of["keys"].text == "not looked at, since AWS did not identify the caller"
