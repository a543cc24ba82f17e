"""State is written once, under its condition; a lost answer is no second write; unknown is never "not there"."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.waiver import waiver_of, waiver_payload
from phase5_ops.gate.records import Release, Waiver
from phase5_ops.gate.state.items import (
    Candidate,
    Fate,
    Lock,
    Promotion,
    Registered,
    StateError,
    StoredSignOff,
    StoredStatement,
    StoredWaiver,
    Written,
    check_release,
)
from phase5_ops.gate.state.table import StateTable
from phase5_ops.settings import ReadingSettings

pytestmark = pytest.mark.slow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "0" * 64
RELEASE = Release("r-1.2.3", DIGEST, "production")
CANDIDATE = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline", context={"execution": "e-1"})
LOCK = Lock("run-1", NOW, "key-1")


@pytest.fixture
def table(aws) -> str:
    name = f"phase5-readiness-{uuid4().hex[:8]}"
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


@pytest.fixture
def state(reader, table) -> StateTable:
    return StateTable(reader, table)


# --- large items -------------------------------------------------------------------------------------------------------------


def test_a_statement_of_ten_thousand_findings_is_frozen_and_read_as_it_was_signed(state):
    found = [["budget_mismatch", f"tenant-{number:05d}/acct-{number:05d}-1 2026-11-22", "WARN"] for number in range(10_000)]
    payload = json.dumps(found).encode()
    assert len(payload) > 600_000
    for _ in range(2):  # an answer may be lost, and the same be written again
        assert state.freeze_statement(RELEASE, 1, payload, b"signature", "key") is Written.DONE
    assert state.freeze_statement(RELEASE, 1, payload + b" ", b"signature", "key") is Written.REFUSED
    assert state.statement(RELEASE, 1) == StoredStatement(payload, b"signature", "key")
    assert state.statement_among_all(RELEASE, 1)[1] == [StoredStatement(payload, b"signature", "key")]


def test_an_item_that_is_too_large_even_packed_is_not_written_and_says_why(state):
    with pytest.raises(StateError, match=r"STATEMENT#000001.* bytes, packed as far as can be.*mend what most of them are about"):
        state.freeze_statement(RELEASE, 1, Random(5).randbytes(500_000), b"signature", "key")
    assert state.statement(RELEASE, 1) is None


# --- candidates --------------------------------------------------------------------------------------------------------------


def test_a_candidate_is_registered_once(state):
    assert state.register(CANDIDATE) == (Registered.NEW, CANDIDATE)
    again = replace(CANDIDATE, registered_at=NOW + timedelta(hours=1))
    assert state.register(again) == (Registered.SAME, CANDIDATE)
    assert state.candidate(RELEASE) == CANDIDATE


def test_the_same_name_with_another_digest_is_refused_whatever_became_of_the_first(state):
    other = replace(CANDIDATE, release=replace(RELEASE, digest=OTHER))
    state.register(CANDIDATE)
    assert state.register(other) == (Registered.CONFLICT, CANDIDATE)
    state.set_fate(CANDIDATE, Fate.REJECTED)
    assert state.register(other)[0] is Registered.CONFLICT


def test_environments_have_candidates_of_their_own(state):
    staging = replace(CANDIDATE, release=replace(RELEASE, environment="staging", digest=OTHER))
    state.register(CANDIDATE)
    assert state.register(staging)[0] is Registered.NEW


@pytest.mark.parametrize("fate", [Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED])
def test_registering_a_closed_candidate_again_starts_a_new_series(state, fate):
    state.register(CANDIDATE)
    assert state.set_fate(CANDIDATE, fate, "1.1 FAIL") is Written.DONE
    assert state.candidate(RELEASE).closed_because == "1.1 FAIL"
    registered, present = state.register(replace(CANDIDATE, registered_at=NOW + timedelta(days=2)))
    assert (registered, present.series, present.fate, present.closed_because) == (Registered.NEW, 2, Fate.PENDING, "")
    assert state.candidate(RELEASE) == present


@pytest.mark.parametrize("fate", [Fate.PROMOTED, Fate.READY_TO_SIGN])
def test_a_candidate_that_is_not_closed_is_not_started_again(state, fate):
    state.register(CANDIDATE)
    state.set_fate(CANDIDATE, fate)
    assert state.register(CANDIDATE)[0] is Registered.SAME
    assert state.candidate(RELEASE).fate is fate


def test_a_fate_that_changed_in_between_is_not_overwritten(state):
    state.register(CANDIDATE)
    assert state.set_fate(CANDIDATE, Fate.ABORTED) is Written.DONE
    assert state.set_fate(CANDIDATE, Fate.PROMOTED) is Written.REFUSED
    assert state.candidate(RELEASE).fate is Fate.ABORTED


def test_the_same_fate_of_a_later_series_is_not_taken_for_ones_own(state):
    state.register(CANDIDATE)
    state.set_fate(CANDIDATE, Fate.REJECTED)
    _, second = state.register(replace(CANDIDATE, registered_at=NOW + timedelta(days=1)))
    state.set_fate(second, Fate.READY_TO_SIGN)
    assert state.set_fate(CANDIDATE, Fate.READY_TO_SIGN) is Written.REFUSED


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "../x"},
        {"name": ".."},
        {"name": "a/b"},
        {"name": "a#b"},
        {"name": "x" * 65},
        {"name": "a\n"},
        {"digest": ""},
        {"digest": "sha256:" + "D" * 64},
        {"digest": "sha256:" + "d" * 64 + "\n"},
        {"environment": "a#b"},
    ],
)
def test_what_is_no_release_never_becomes_a_key(state, changes):
    with pytest.raises(ValueError, match="not a"):
        check_release(replace(RELEASE, **changes))
    with pytest.raises(ValueError, match="not a"):
        state.register(replace(CANDIDATE, release=replace(RELEASE, **changes)))


# --- statement, signatures, waivers ------------------------------------------------------------------------------------------


def test_a_statement_is_frozen_once_a_series(state):
    assert state.statement(RELEASE, 1) is None
    assert state.freeze_statement(RELEASE, 1, b"one", b"s", "k") is Written.DONE
    assert state.freeze_statement(RELEASE, 1, b"one", b"signed anew", "k") is Written.DONE
    assert state.freeze_statement(RELEASE, 1, b"two", b"s", "k") is Written.REFUSED
    assert state.statement(RELEASE, 1) == StoredStatement(b"one", b"s", "k")
    assert state.freeze_statement(RELEASE, 2, b"two", b"s", "k") is Written.DONE


SIGN_OFF = StoredSignOff(
    "req-1", "ops-sre", DIGEST, 1, OTHER, "key", "arn:aws:kms:x", b"\x30\x01", "alice", "arn:aws:sts:x", "req-1", NOW
)


def test_a_signature_is_kept_as_it_was_made(state):
    assert state.add_sign_off(RELEASE, SIGN_OFF) is Written.DONE
    assert state.add_sign_off(RELEASE, SIGN_OFF) is Written.DONE
    assert state.add_sign_off(RELEASE, replace(SIGN_OFF, identity="bob")) is Written.REFUSED
    assert state.add_sign_off(RELEASE, replace(SIGN_OFF, id="req-2", identity="bob")) is Written.DONE
    assert state.sign_offs(RELEASE) == [SIGN_OFF, replace(SIGN_OFF, id="req-2", identity="bob")]
    assert state.sign_offs(replace(RELEASE, name="r-1.2")) == []


WAIVER = Waiver(
    "w-1",
    "1.2",
    DIGEST,
    frozenset({("code", "a"), ("code", "\u00e9 b")}),
    "why",
    "T-1",
    NOW,
    NOW + timedelta(days=1),
    None,
    "carol",
)


def test_a_waiver_is_kept_as_it_was_signed(state):
    stored = StoredWaiver(WAIVER, "key", b"sig")
    assert state.add_waiver(RELEASE, stored) is Written.DONE
    assert state.add_waiver(RELEASE, replace(stored, waiver=replace(WAIVER, reason="other"))) is Written.REFUSED
    assert state.waivers(RELEASE) == [stored]


def test_a_waivers_bytes_say_everything_but_who_signed():
    assert waiver_of(waiver_payload(replace(WAIVER, signed_by="ops-sre")).decode()) == WAIVER
    odd = replace(WAIVER, reason="bytes of an argument that are no text: \udc80")
    assert waiver_of(waiver_payload(odd).decode()) == odd
    for content in ("{}", "[]", "7", "x", json.dumps({**json.loads(waiver_payload(WAIVER)), "pairs": [["code"]]})):
        with pytest.raises(ValueError, match="not a waiver"):
            waiver_of(content)


# --- promotion ---------------------------------------------------------------------------------------------------------------


def test_a_lock_has_one_holder(state):
    assert state.lock(RELEASE, 1) is None
    assert state.take_lock(RELEASE, 1, LOCK) == (Written.DONE, LOCK)
    assert state.take_lock(RELEASE, 1, replace(LOCK, holder="run-2", idempotency_key="key-2")) == (Written.REFUSED, LOCK)
    assert state.take_lock(RELEASE, 1, replace(LOCK, taken_at=NOW + timedelta(hours=1))) == (Written.DONE, LOCK)
    assert state.take_lock(RELEASE, 2, replace(LOCK, holder="run-2"))[0] is Written.DONE


def test_an_abandoned_lock_is_taken_over_by_one_with_its_key(state):
    state.take_lock(RELEASE, 1, LOCK)
    late = NOW + timedelta(minutes=5, seconds=1)
    assert state.take_over_lock(RELEASE, 1, LOCK, "run-2", NOW + timedelta(minutes=5)) is Written.REFUSED
    assert state.take_over_lock(RELEASE, 1, LOCK, "run-2", late) is Written.DONE
    assert state.take_over_lock(RELEASE, 1, LOCK, "run-3", late) is Written.REFUSED
    assert state.lock(RELEASE, 1) == Lock("run-2", late, "key-1")


PROMOTION = Promotion("run-1", NOW, "key-1", "sha256:r", "sha256:d", '{"EventId":"1"}')


def test_the_first_record_of_a_promotion_stays(state):
    assert state.promotion(RELEASE, 1) is None
    assert state.record_promotion(RELEASE, 1, PROMOTION) is Written.DONE
    assert state.record_promotion(RELEASE, 1, replace(PROMOTION, holder="run-2")) is Written.DONE
    assert state.record_promotion(RELEASE, 1, replace(PROMOTION, idempotency_key="key-2")) is Written.REFUSED
    assert state.promotion(RELEASE, 1) == PROMOTION


def test_promotions_are_noted_once_and_come_back_in_order_of_time(state):
    waived = {("1.2", ("alarm_missing", "x")), ("tool_slo_met", ("slo_missed", "y"))}
    later = replace(RELEASE, name="a-later-one")
    for _ in range(2):
        assert state.note_promotion(later, 1, NOW + timedelta(days=9), ()) is Written.DONE
        assert state.note_promotion(RELEASE, 2, NOW, waived) is Written.DONE
    assert state.note_promotion(RELEASE, 2, NOW, ()) is Written.REFUSED
    assert state.promotions("production") == [(RELEASE.name, frozenset(waived)), ("a-later-one", frozenset())]
    assert state.promotions("staging") == []


# --- what AWS does -----------------------------------------------------------------------------------------------------------


class LosesTheFirstAnswer(AwsReader):
    """Every write is done twice, as botocore does when the first answer was lost; the second answer is what is seen."""

    def call(self, service, operation, resource, **params):
        if operation in ("put_item", "update_item"):
            super().call(service, operation, resource, **params)
        return super().call(service, operation, resource, **params)


def test_a_write_whose_answer_was_lost_is_known_as_done(aws, table):
    state = StateTable(LosesTheFirstAnswer(ReadingSettings(), session=aws), table)
    assert state.register(CANDIDATE) == (Registered.NEW, CANDIDATE)
    assert state.set_fate(CANDIDATE, Fate.REJECTED, "x") is Written.DONE
    assert state.register(replace(CANDIDATE, registered_at=NOW + timedelta(days=1)))[0] is Registered.NEW
    assert state.freeze_statement(RELEASE, 1, b"p", b"s", "k") is Written.DONE
    assert state.add_sign_off(RELEASE, SIGN_OFF) is Written.DONE
    assert state.add_waiver(RELEASE, StoredWaiver(WAIVER, "k", b"s")) is Written.DONE
    assert state.take_lock(RELEASE, 1, LOCK) == (Written.DONE, LOCK)
    assert state.take_over_lock(RELEASE, 1, LOCK, "run-2", NOW + timedelta(hours=1)) is Written.DONE
    assert state.record_promotion(RELEASE, 1, PROMOTION) is Written.DONE
    assert state.note_promotion(RELEASE, 1, NOW, {("1.2", ("alarm_missing", "x"))}) is Written.DONE


def test_a_missing_table_is_an_error_that_names_the_remedy_and_never_an_empty_answer(reader):
    state = StateTable(reader, "phase5-none")
    for act in (
        lambda: state.candidate(RELEASE),
        lambda: state.sign_offs(RELEASE),
        lambda: state.waivers(RELEASE),
        lambda: state.statement(RELEASE, 1),
        lambda: state.lock(RELEASE, 1),
        lambda: state.promotion(RELEASE, 1),
        lambda: state.promotions("production"),
        lambda: state.register(CANDIDATE),
        lambda: state.take_lock(RELEASE, 1, LOCK),
        lambda: state.set_fate(CANDIDATE, Fate.ABORTED),
    ):
        with pytest.raises(StateError, match=r"phase5-none: not_found.*phase5 init"):
            act()


@pytest.mark.parametrize("kind", ["denied", "throttle", "error500"])
def test_a_refusal_by_aws_is_an_error_and_not_a_refused_condition(aws_faults, state, table, kind):
    aws_faults.add(kind, service="dynamodb", match=table)
    with pytest.raises(StateError, match="dynamodb:PutItem"):
        state.take_lock(RELEASE, 1, LOCK)
    with pytest.raises(StateError, match="dynamodb:Query"):
        state.sign_offs(RELEASE)
