"""What the gate rests on is looked at: the table, the keys, and who may sign with two of them."""

import io
import json
from uuid import uuid4

import pytest

from phase5_ops.cli import app as cli
from phase5_ops.gate.attestation.keys import SIGNERS
from phase5_ops.gate.inputs.install_check import Checked, InstallOutcome, check_installation, exit_code, signers_in
from phase5_ops.gate.session import new_session
from phase5_ops.settings import Tables
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::123456789012:role/"


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    desk = Desk.on(aws, tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
    return desk


def phase5(monkeypatch, capsys, desk, *arguments):
    monkeypatch.setenv("PHASE5_TABLES__READINESS", desk.settings.tables.readiness)
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr()
    return end.value.code, out.out + out.err


def problems(desk):
    found = list(check_installation(new_session(desk.settings, "check")))
    return [each.text for each in found if each.outcome is InstallOutcome.PROBLEM], exit_code(found)


def let_sign(desk, **principals):
    kms = desk.session.client("kms")
    for role, names in principals.items():
        alias = desk.settings.signing.key_of(role.replace("_", "-"))
        key = kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
        statement = {"Effect": "Allow", "Principal": {"AWS": names}, "Action": "kms:Sign", "Resource": "*"}
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps({"Statement": [statement]}))


def test_init_sets_up_what_check_asks_for(desk, monkeypatch, capsys):
    desk.settings = desk.settings.model_copy(update={"tables": Tables(readiness=f"t-{uuid4().hex[:8]}")})
    code, said = phase5(monkeypatch, capsys, desk, "init", "--check")
    assert code == 1
    assert "is not there; run phase5 init" in said
    assert "keys are not pinned" in said
    code, said = phase5(monkeypatch, capsys, desk, "init")
    assert (code, said.count("is new")) == (0, 4)
    code, said = phase5(monkeypatch, capsys, desk, "init", "--check")
    assert code == 0
    assert said.count("leaves signing to the IAM policies") == len(SIGNERS)
    assert "the keys are pinned as they are" in phase5(monkeypatch, capsys, desk, "init")[1]


def test_a_table_without_protection_or_recovery_is_a_problem(desk):
    found, code = problems(desk)
    assert code == 1
    assert any("deletion protection" in text for text in found)
    assert any("point-in-time recovery" in text for text in found)


def test_a_principal_with_two_keys_is_a_problem_whatever_session_it_is_named_as(desk):
    let_sign(desk, gate=ROLE + "g", ops_sre=[ROLE + "a", ROLE + "b"], eng_reliability=ROLE + "c", security_compliance=ROLE + "d")
    assert not any("may sign" in text for text in problems(desk)[0])
    let_sign(desk, eng_reliability=["arn:aws:sts::123456789012:assumed-role/a/alice"])
    (said,) = [text for text in problems(desk)[0] if "may sign" in text]
    assert said.startswith(f"{ROLE}a may sign with the keys of eng-reliability, ops-sre")
    let_sign(desk, eng_reliability="*")
    assert any("lets anybody sign" in text for text in problems(desk)[0])


def test_a_key_that_is_not_the_pinned_one_is_a_problem(desk, monkeypatch, capsys):
    phase5(monkeypatch, capsys, desk, "init")
    kms = desk.session.client("kms")
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=desk.settings.signing.ops_sre_key, TargetKeyId=other)
    assert any("not the trusted key of ops-sre" in text for text in problems(desk)[0])
    old = desk.open().keys.present("ops-sre").key_id
    for arguments in ((), ("--revoke", "another")):
        code, said = phase5(monkeypatch, capsys, desk, "init", *arguments)
        assert code == 3
        assert f"the key {old} of ops-sre is revoked" in said
        assert f"nothing was pinned: give --revoke {old}" in said
        assert any("not the trusted key of ops-sre" in text for text in problems(desk)[0])
    code, said = phase5(monkeypatch, capsys, desk, "init", "--revoke", old)
    assert code == 0
    assert "of ops-sre is revoked as of" in said
    assert not any("believed" in text for text in problems(desk)[0])


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_on_a_terminal_init_asks_before_it_replaces_a_pinned_key(desk, monkeypatch, capsys, answer, code):
    phase5(monkeypatch, capsys, desk, "init")
    path = desk.settings.state_dir / "keys.json"
    before = path.read_bytes()
    kms = desk.session.client("kms")
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=desk.settings.signing.ops_sre_key, TargetKeyId=other)
    terminal = io.StringIO(answer)
    terminal.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", terminal)
    ended, said = phase5(monkeypatch, capsys, desk, "init")
    assert (ended, path.read_bytes() == before) == (code, code == 1)
    assert "of ops-sre is revoked\n" in said
    assert "replace what is pinned by the keys that KMS has now?" in said


def test_init_without_a_terminal_forgets_no_keys_unless_it_is_told_to(desk, monkeypatch, capsys):
    """The file is gone, and so is what the state table knew of it."""
    phase5(monkeypatch, capsys, desk, "init")
    path = desk.settings.state_dir / "keys.json"
    path.unlink()
    table = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness)
    table.delete_item(Key={"pk": f"KEYS#{desk.settings.environment}", "sk": "PINNED"})
    code, said = phase5(monkeypatch, capsys, desk, "init")
    assert (code, path.exists()) == (3, False)
    assert "nothing tells which keys the file held" in said
    assert "give --yes" in said
    assert phase5(monkeypatch, capsys, desk, "init", "--yes")[0] == 0
    assert path.exists()


def test_the_check_says_that_the_file_of_keys_is_gone(desk, monkeypatch, capsys):
    phase5(monkeypatch, capsys, desk, "init")
    (desk.settings.state_dir / "keys.json").unlink()
    code, said = phase5(monkeypatch, capsys, desk, "init", "--check")
    assert code == 1
    assert "is gone, and keys were pinned there" in said


@pytest.mark.parametrize("service", ["dynamodb", "kms"])
def test_what_cannot_be_read_is_unknown_and_not_fine(desk, aws_faults, service):
    aws_faults.add("denied", service=service)
    found = check_installation(new_session(desk.settings, "check"))
    assert InstallOutcome.UNKNOWN in {each.outcome for each in found}


def test_keys_that_are_not_there_leave_the_table_made_and_say_so(desk, monkeypatch, capsys):
    monkeypatch.setenv("PHASE5_SIGNING__OPS_SRE_KEY", "alias/none")
    code, said = phase5(monkeypatch, capsys, desk, "init")
    assert code == 2
    assert "not pinned" in said


def test_exit_codes():
    ok, unknown, problem, note = (
        Checked(outcome, "")
        for outcome in (InstallOutcome.OK, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM, InstallOutcome.NOTE)
    )
    assert [exit_code(found) for found in ([ok, note], [ok, unknown], [unknown, problem], [])] == [0, 2, 1, 2]


@pytest.mark.parametrize(
    ("statement", "signers"),
    [
        ({"Effect": "Allow", "Action": "kms:*", "Principal": {"AWS": "a"}}, {"a"}),
        (
            {"Effect": "Allow", "Action": ["kms:GetPublicKey", "KMS:S*"], "Principal": {"AWS": ["a", "b"], "Service": "c"}},
            {"a", "b", "c"},
        ),
        ({"Effect": "Allow", "NotAction": "kms:Decrypt", "Principal": "*"}, {"*"}),
        ({"Effect": "Allow", "NotAction": "kms:Sign", "Principal": "*"}, set()),
        ({"Effect": "Allow", "Action": "kms:Describe*", "Principal": "*"}, set()),
        ({"Effect": "Deny", "Action": "*", "Principal": {"AWS": "a"}}, set()),
    ],
)
def test_who_may_sign_by_a_key_policy(statement, signers):
    assert signers_in({"Statement": statement}) == signers
    assert signers_in({"Statement": [statement]}) == signers


@pytest.mark.parametrize("policy", [{}, {"Statement": {"Effect": "Allow", "Action": "*", "NotPrincipal": {"AWS": "a"}}}])
def test_a_policy_that_cannot_be_understood_is_not_taken_for_an_empty_one(policy):
    with pytest.raises((ValueError, KeyError)):
        signers_in(policy)
