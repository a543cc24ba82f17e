"""The pinned keys are believed, whatever KMS says by now; a key that was once revoked never comes back."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.context import open_run
from phase5_ops.gate.attestation.keys import SIGNERS, KeysError, KeySet, key_set
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.trusted_keys import (
    MARK_NAME,
    NotReplaced,
    keys_file,
    merged,
    pin_keys,
    pinned_keys,
    signing_key,
    write_keys,
)
from phase5_ops.gate.state.items import PinnedKeys, StateError
from phase5_ops.gate.state.table import StateTable
from phase5_ops.sandbox.seed import _seed_signing_keys
from phase5_ops.settings import ConfigurationError, Settings, load_settings
from phase5_ops_tests.gate.own_aws import NOW, Signers


def trusted_keys(reader: AwsReader, settings: Settings) -> KeySet:
    return GateSession(open_run(settings, "test", reader=reader)).keys


@pytest.fixture
def settings(tmp_path):
    return load_settings(state_dir=tmp_path)


@pytest.fixture
def seeded(aws):
    kms = aws.client("kms")
    for alias in kms.list_aliases()["Aliases"]:
        if alias["AliasName"].startswith("alias/phase5-"):
            kms.delete_alias(AliasName=alias["AliasName"])
    _seed_signing_keys(kms)
    return kms


@pytest.fixture
def state(aws, reader, settings) -> StateTable:
    aws.client("dynamodb").create_table(
        TableName=settings.tables.readiness,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    return StateTable(reader, settings.tables.readiness)


def repoint(kms, settings, role: str = "ops-sre") -> None:
    """The alias of a role's key names another key by now."""
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=settings.signing.key_of(role), TargetKeyId=other)


def test_without_a_file_the_keys_in_kms_are_believed_and_with_one_only_the_file(seeded, reader, settings, state):
    in_kms = trusted_keys(reader, settings)
    assert {key.role for key in in_kms.keys.values()} == set(SIGNERS)
    assert pinned_keys(settings, state) is None
    write_keys(keys_file(settings), in_kms)
    assert signing_key(reader, settings.signing, "ops-sre", trusted_keys(reader, settings)).role == "ops-sre"
    repoint(seeded, settings)
    assert trusted_keys(reader, settings).keys.keys() == in_kms.keys.keys()
    with pytest.raises(KeysError, match="not the trusted key of ops-sre"):
        signing_key(reader, settings.signing, "ops-sre", trusted_keys(reader, settings))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_file_that_cannot_be_used_is_never_passed_over(reader, settings, content):
    keys_file(settings).write_bytes(content)
    with pytest.raises(KeysError, match=r"keys\.json"):
        trusted_keys(reader, settings)


def dangling(path):
    path.unlink()
    path.symlink_to(path.with_name("elsewhere.json"))


def loop(path):
    path.unlink()
    path.symlink_to(path)


def folder(path):
    path.unlink()
    path.mkdir()


LOST = {
    "gone": lambda path: path.unlink(),
    "a link to nothing": dangling,
    "a link to itself": loop,
    "a folder": folder,
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:100]),
}


@pytest.mark.parametrize("lose", LOST.values(), ids=LOST)
def test_where_the_pinned_file_is_not_what_it_was_nothing_is_believed(seeded, reader, settings, state, lose):
    pin_keys(reader, settings, state, NOW)
    lose(keys_file(settings))
    for repointed in (False, True):  # not even the keys of KMS that were pinned
        if repointed:
            repoint(seeded, settings)
        for ask in (lambda: trusted_keys(reader, settings), lambda: pinned_keys(settings, state)):
            with pytest.raises(KeysError, match=r"keys\.json"):
                ask()


@pytest.mark.parametrize("call", ["os.lstat", "pathlib.Path.read_bytes"], ids=["its folder", "itself"])
@pytest.mark.usefixtures("seeded", "state")
def test_a_file_that_may_not_be_read_is_not_taken_for_none(reader, settings, monkeypatch, call):
    pin_keys(reader, settings, StateTable(reader, settings.tables.readiness), NOW)

    def refused(*_arguments, **_named):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(call, refused)
    with pytest.raises(KeysError, match=r"keys\.json: cannot be .*: Permission denied; no key is trusted"):
        trusted_keys(reader, settings)


def test_a_file_from_before_the_mark_leaves_one_when_it_is_read(seeded, reader, settings, state):
    pin_keys(reader, settings, state, NOW)
    mark = keys_file(settings).with_name(MARK_NAME)
    mark.unlink()
    trusted_keys(reader, settings)
    assert mark.exists()
    keys_file(settings).unlink()
    with pytest.raises(KeysError, match="is gone, and keys were pinned there"):
        trusted_keys(reader, settings)


def test_a_new_folder_believes_the_keys_of_kms_only_where_they_are_those_that_were_pinned(
    seeded, reader, settings, state, tmp_path
):
    pin_keys(reader, settings, state, NOW)
    new = settings.model_copy(update={"state_dir": tmp_path / "new"})
    assert trusted_keys(reader, new).keys.keys() == trusted_keys(reader, settings).keys.keys()
    repoint(seeded, settings)
    with pytest.raises(KeysError, match="KMS has another key of ops-sre than was pinned at 2026-11-23"):
        trusted_keys(reader, new)


def test_a_file_with_other_keys_than_were_pinned_last_is_not_believed(seeded, reader, settings, state, signers):
    pin_keys(reader, settings, state, NOW)
    write_keys(keys_file(settings), signers.keys())
    with pytest.raises(KeysError, match="has another key of eng-reliability, gate, ops-sre, security-compliance than was pinned"):
        trusted_keys(reader, settings)


@pytest.mark.usefixtures("seeded")
@pytest.mark.parametrize(
    ("role", "revoked_at"), [("gate", datetime(2999, 1, 1, tzinfo=UTC)), ("ops-sre", NOW - timedelta(days=30))]
)
def test_a_file_with_a_revoked_key_that_was_never_pinned_is_not_believed(reader, settings, state, role, revoked_at):
    pin_keys(reader, settings, state, NOW)
    pinned = trusted_keys(reader, settings)
    write_keys(keys_file(settings), key_set([*pinned.keys.values(), Signers.fresh().trusted(role, revoked_at=revoked_at)]))
    with pytest.raises(KeysError, match=f"has another key of {role} than was pinned"):
        trusted_keys(reader, settings)
    with pytest.raises(KeysError, match=f"has a revoked key of {role} that was never pinned"):
        pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)
    write_keys(keys_file(settings), pinned)
    assert trusted_keys(reader, settings) == pinned


def test_a_revoked_key_whose_revocation_was_moved_into_the_future_is_not_believed(seeded, reader, settings, state):
    pin_keys(reader, settings, state, NOW)
    repoint(seeded, settings)
    pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)
    keys = trusted_keys(reader, settings).keys.values()
    future = datetime(2999, 1, 1, tzinfo=UTC)
    write_keys(keys_file(settings), key_set(replace(key, revoked_at=key.revoked_at and future) for key in keys))
    with pytest.raises(KeysError, match="has another key of ops-sre than was pinned"):
        trusted_keys(reader, settings)


def test_a_revoked_key_is_never_pinned_again_not_even_where_the_file_is_gone(seeded, reader, settings, state):
    alias = settings.signing.key_of("ops-sre")
    revoked = seeded.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    pin_keys(reader, settings, state, NOW)
    repoint(seeded, settings)
    pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)
    noted = state.pinned_keys(settings.environment)
    seeded.update_alias(AliasName=alias, TargetKeyId=revoked)
    keys_file(settings).unlink()
    with pytest.raises(KeysError, match="of ops-sre was revoked or belonged to another role; the key must not sign for ops-sre"):
        pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)
    assert (keys_file(settings).exists(), state.pinned_keys(settings.environment)) == (False, noted)


def test_a_key_changes_its_role_not_even_where_the_file_is_gone(seeded, reader, settings, state):
    pin_keys(reader, settings, state, NOW)
    of_gate = seeded.describe_key(KeyId=settings.signing.key_of("gate"))["KeyMetadata"]["KeyId"]
    repoint(seeded, settings, "gate")
    seeded.update_alias(AliasName=settings.signing.key_of("ops-sre"), TargetKeyId=of_gate)
    keys_file(settings).unlink()
    with pytest.raises(KeysError, match="of gate was revoked or belonged to another role; the key must not sign for ops-sre"):
        pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)


def test_where_an_earlier_version_noted_only_present_keys_the_revoked_ones_count_and_are_noted_next_time(
    seeded, reader, settings, state, signers
):
    pin_keys(reader, settings, state, NOW)
    noted = state.pinned_keys(settings.environment)
    state.note_pinned_keys(settings.environment, PinnedKeys(noted.present, NOW), instead_of=noted)
    older = signers.trusted("ops-sre", revoked_at=NOW - timedelta(days=30))
    write_keys(keys_file(settings), key_set([*trusted_keys(reader, settings).keys.values(), older]))
    assert older.key_id in trusted_keys(reader, settings).keys
    pin_keys(reader, settings, state, NOW)
    assert state.pinned_keys(settings.environment).revoked == {older.key_id: "ops-sre"}
    assert older.key_id in trusted_keys(reader, settings).keys


def test_a_key_that_another_machine_replaced_is_known_as_revoked_to_every_file(seeded, reader, settings, state, tmp_path):
    pin_keys(reader, settings, state, NOW)
    old = trusted_keys(reader, settings).present("ops-sre").key_id
    other = settings.model_copy(update={"state_dir": tmp_path / "other"})
    keys_file(other).parent.mkdir()
    keys_file(other).write_bytes(keys_file(settings).read_bytes())
    repoint(seeded, settings)
    for place in (settings, other):
        pin_keys(reader, place, state, NOW, may_replace=lambda _: True)
    assert all(old in trusted_keys(reader, place).keys for place in (settings, other))
    keys_file(other).unlink()
    pin_keys(reader, other, state, NOW, may_replace=lambda _: True)  # knows the present keys alone
    assert state.pinned_keys(settings.environment).revoked == {old: "ops-sre"}
    assert old in trusted_keys(reader, settings).keys


def test_what_was_pinned_cannot_be_read_is_not_known(seeded, reader, settings, state, aws_faults):
    pin_keys(reader, settings, state, NOW)
    aws_faults.add("denied", service="dynamodb")
    with pytest.raises(StateError):
        trusted_keys(reader, settings)


# --- pinning -----------------------------------------------------------------------------------------------------------------


def test_a_key_is_replaced_only_where_it_may_be_and_what_is_revoked_is_said_before(seeded, reader, settings, state):
    pin_keys(reader, settings, state, NOW)
    old = trusted_keys(reader, settings).present("ops-sre").key_id
    repoint(seeded, settings)
    before, asked = keys_file(settings).read_bytes(), []
    with pytest.raises(NotReplaced):
        pin_keys(reader, settings, state, NOW, may_replace=lambda replaced: bool(asked.append(replaced)))
    assert [replaced.lines() for replaced in asked] == [(f"the key {old} of ops-sre is revoked",)]
    assert keys_file(settings).read_bytes() == before
    with pytest.raises(NotReplaced):
        pin_keys(reader, settings, state, NOW)
    pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)
    keys = trusted_keys(reader, settings)
    assert (keys.keys[old].revoked_at, keys.present("ops-sre").key_id != old) == (NOW, True)
    assert pin_keys(reader, settings, state, NOW) == ("the keys are pinned as they are",)


def test_pinning_where_the_file_is_gone_asks_before_keys_are_replaced_or_forgotten(seeded, reader, settings, state, aws):
    pin_keys(reader, settings, state, NOW)
    old = trusted_keys(reader, settings).present("ops-sre").key_id
    repoint(seeded, settings)
    keys_file(settings).unlink()
    asked = []
    with pytest.raises(NotReplaced):
        pin_keys(reader, settings, state, NOW, may_replace=lambda replaced: bool(asked.append(replaced)))
    aws.resource("dynamodb").Table(settings.tables.readiness).delete_item(Key={"pk": "KEYS#production", "sk": "PINNED"})
    with pytest.raises(NotReplaced):
        pin_keys(reader, settings, state, NOW, may_replace=lambda replaced: bool(asked.append(replaced)))
    assert (asked[0].keys, asked[0].unknown) == ({old: "ops-sre"}, False)
    assert (asked[1].keys, asked[1].unknown) == ({}, True)
    assert not keys_file(settings).exists()


@pytest.mark.parametrize("lose", [dangling, LOST["empty"], LOST["cut off"]], ids=["a link to nothing", "empty", "cut off"])
def test_pinning_never_writes_over_a_file_that_cannot_be_used(seeded, reader, settings, state, lose):
    pin_keys(reader, settings, state, NOW)
    lose(keys_file(settings))
    with pytest.raises(KeysError):
        pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)


def test_two_who_pin_at_once_do_not_both_succeed(seeded, reader, settings, state, monkeypatch):
    pin_keys(reader, settings, state, NOW)
    repoint(seeded, settings)
    noted = state.pinned_keys(settings.environment)
    state.note_pinned_keys(settings.environment, PinnedKeys({"gate": "another"}, NOW), instead_of=noted)
    monkeypatch.setattr(StateTable, "pinned_keys", lambda *_: noted)
    with pytest.raises(KeysError, match="another phase5 init"):
        pin_keys(reader, settings, state, NOW, may_replace=lambda _: True)


def test_a_replaced_key_is_kept_as_revoked(signers):
    before = signers.keys()
    after = key_set([key for key in before.keys.values() if key.role != "ops-sre"] + [Signers.fresh().trusted("ops-sre")])
    keys, changes = merged(before, after, NOW)
    old = keys.keys[before.present("ops-sre").key_id]
    assert old.revoked_at == NOW
    assert keys.present("ops-sre").key_id == after.present("ops-sre").key_id
    assert len(changes) == 2
    again, changes = merged(keys, after, NOW + timedelta(days=1))
    assert (again.keys[old.key_id].revoked_at, changes) == (NOW, ())
    with pytest.raises(KeysError, match="revoked"):
        merged(keys, before, NOW)


def test_a_key_does_not_change_its_role(signers):
    before = signers.keys()
    first, second = before.present("ops-sre"), before.present("eng-reliability")
    rest = [key for key in before.keys.values() if key.role not in ("ops-sre", "eng-reliability")]
    swapped = key_set([*rest, replace(first, role="eng-reliability"), replace(second, role="ops-sre")])
    with pytest.raises(KeysError, match="another role"):
        merged(before, swapped, NOW)


@pytest.mark.parametrize(
    ("environment", "endpoint", "refused"),
    [
        ("sandbox", "http://127.0.0.1:5000", False),
        ("sandbox", None, True),
        ("sandbox", "https://127.0.0.1.example.com", True),
        ("production", "http://127.0.0.1:5000", True),
    ],
)
def test_a_fixed_clock_is_refused_outside_the_sandbox(monkeypatch, environment, endpoint, refused):
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("PHASE5_ENVIRONMENT", environment)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if refused:
        with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
            refuse_fixed_clock(load_settings(), "signing")
    else:
        refuse_fixed_clock(load_settings(), "signing")
