"""Steps of an upgrade: each taken once, killed anywhere and run again; a table that a later version took over is left alone."""

from datetime import timedelta

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.keys import SIGNERS
from phase5_ops.gate.inputs.install_check import InstallOutcome, check_upgrades
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import load_keys
from phase5_ops.gate.signing.trusted_keys import pin_keys, present_ids
from phase5_ops.gate.state import upgrades as module
from phase5_ops.gate.state.items import PinnedKeys, attributes, keys_pk
from phase5_ops.gate.state.upgrades import STEPS, NewerTable, UpgradeStep
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

ENVIRONMENT = RELEASE.environment


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    """A gate whose keys an earlier version pinned, without their history."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path / "state")
    session = desk.open()
    present = present_ids(load_keys(session.reader, desk.settings.signing, SIGNERS))
    session.state._put_new(keys_pk(ENVIRONMENT), "PINNED", attributes(PinnedKeys(present, NOW)))
    return desk


def items(desk: Desk) -> dict[tuple[str, str], dict[str, object]]:
    found = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness).scan()["Items"]
    return {(item.pop("pk"), item.pop("sk")): item for item in found}


def upgraded(session: GateSession, now=NOW) -> list[str]:
    return list(session.upgrades.upgrade(ENVIRONMENT, now))


def test_what_lacks_is_done_once_and_noted(desk):
    before = items(desk)
    assert upgraded(desk.open()) == [
        "upgrade step 1, history of pinned keys: it begins with the keys pinned at 2026-11-23T12:00:00.000Z"
    ]
    after = items(desk)
    assert {key: after[key] for key in before} == before  # nothing that was there has changed
    assert after[f"KEYS#{ENVIRONMENT}", "PINNED#2026-11-23T12:00:00.000Z"] == before[f"KEYS#{ENVIRONMENT}", "PINNED"]
    noted = after[f"SCHEMA#{ENVIRONMENT}", "UPGRADE#000001"]
    assert (noted["name"], noted["at"]) == ("history of pinned keys", "2026-11-23T12:00:00.000Z")
    assert upgraded(desk.open(), NOW + timedelta(days=1)) == []
    assert items(desk) == after


def killed_at(monkeypatch, number: int, *, before: bool) -> None:
    """The process is killed at its call of this number, before or after AWS did what was asked."""
    read, calls = AwsReader._read, []

    def once(*given, **more):
        calls.append(given)
        if before and len(calls) == number:
            raise KeyboardInterrupt
        answer = read(*given, **more)
        if not before and len(calls) == number:
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(AwsReader, "_read", once)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", range(1, 5))
def test_one_that_is_killed_at_any_call_leaves_a_table_that_is_read_and_the_next_does_the_rest(desk, monkeypatch, number, before):
    session = desk.open()
    with monkeypatch.context() as patch:
        killed_at(patch, number, before=before)
        with pytest.raises(KeyboardInterrupt):
            upgraded(session)
    assert desk.open().state.pinned_keys(ENVIRONMENT).pinned_at == NOW  # every version reads it
    upgraded(desk.open())
    assert items(desk).keys() == {
        (f"KEYS#{ENVIRONMENT}", "PINNED"),
        (f"KEYS#{ENVIRONMENT}", "PINNED#2026-11-23T12:00:00.000Z"),
        (f"SCHEMA#{ENVIRONMENT}", "UPGRADE#000001"),
    }
    assert desk.open().upgrades.pending(ENVIRONMENT) == []


def test_an_upgrade_makes_no_more_calls_than_are_killed_in_the_tests(desk, monkeypatch):
    session = desk.open()
    killed_at(monkeypatch, 5, before=True)
    upgraded(session)


def test_two_at_once_do_it_once(desk, monkeypatch):
    second = desk.open()
    monkeypatch.setattr(second.upgrades, "pending", lambda _: list(STEPS))  # it looked before the first one was done
    upgraded(desk.open())
    done = items(desk)
    assert len(upgraded(second, NOW + timedelta(minutes=1))) == 1
    assert items(desk) == done


def test_a_table_that_a_later_version_upgraded_is_left_alone(desk, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "STEPS", (*STEPS, UpgradeStep(2, "something new", lambda *_: "done")))
        assert len(upgraded(desk.open())) == 2
    before = items(desk)
    with pytest.raises(NewerTable, match=r"step 000002\), which this version does not know: update phase5 here"):
        upgraded(desk.open())
    assert items(desk) == before
    (found,) = check_upgrades(desk.open())
    assert found.outcome is InstallOutcome.PROBLEM


def test_init_check_says_what_lacks_and_it_is_no_fault(desk):
    (found,) = check_upgrades(desk.open())
    assert (found.outcome, "step 1 (history of pinned keys)" in found.text) == (InstallOutcome.NOTE, True)
    upgraded(desk.open())
    (found,) = check_upgrades(desk.open())
    assert found.outcome is InstallOutcome.OK


def test_each_set_of_keys_that_is_pinned_stays_in_their_history(desk):
    upgraded(desk.open())
    session = desk.open()
    pin_keys(session.reader, desk.settings, session.state, NOW)
    for alias in ("alias/phase5-gate",):
        kms = desk.session.client("kms")
        kms.delete_alias(AliasName=alias)
        new = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        kms.create_alias(AliasName=alias, TargetKeyId=new)
    later = NOW + timedelta(days=1)
    session = GateSession(session.run)
    pin_keys(session.reader, desk.settings, session.state, later, may_replace=lambda _: True)
    history = [key[1] for key in items(desk) if key[0] == f"KEYS#{ENVIRONMENT}"]
    assert sorted(history) == ["PINNED", "PINNED#2026-11-23T12:00:00.000Z", "PINNED#2026-11-24T12:00:00.000Z"]
