"""A promotion happens once or not at all, whoever starts it, whatever is killed where, and says why not."""

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import uuid4

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.checklist import ROLES
from phase5_ops.gate.attestation.envelopes import canonical_json
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import Publication, Published, idempotency_key
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.attestation.verification import verify
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, READINESS_FILE
from phase5_ops.gate.promotion.promote import promote
from phase5_ops.gate.promotion.publication import Ending, PromotionDoor
from phase5_ops.gate.promotion.targets.choice import publish
from phase5_ops.gate.records import Reason, Release
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.gate.state.items import Candidate, Fate, Promotion, StateError, StoredSignOff
from phase5_ops.gate.state.table import StateTable
from phase5_ops.policy import GatePolicy, PromotionPolicy
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.gate.own_aws import NOW, readiness_payload

pytestmark = pytest.mark.slow

COMPLETE = complete_inputs(GatePolicy(), NOW)
RELEASE = COMPLETE.release
SIGNED = NOW + timedelta(minutes=1)
DECIDED = NOW + timedelta(minutes=2)


class Killed(BaseException):
    """The process is gone."""


class Bench:
    """A state table, a target that counts, and doors for runs."""

    def __init__(self, reader: AwsReader, table: str, signers) -> None:
        self.state = StateTable(reader, table)
        self.reader, self.table, self.signers = reader, table, signers
        self.told: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.answer = Publication.PUBLISHED
        self.changes: dict = {}
        self.wall = datetime.now(UTC)

    def ready(self, *, payload: bytes | None = None, context: dict[str, str] | None = None) -> Candidate:
        candidate = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline", context=context)
        self.state.register(candidate)
        payload = payload or readiness_payload(RELEASE)
        key_id, signature = self.signers.sign(GATE, payload)
        self.state.freeze_statement(RELEASE, 1, payload, signature, key_id)
        self.state.set_fate(candidate, Fate.READY_TO_SIGN)
        for role in ROLES:
            self.sign_off(role, payload)
        return replace(candidate, fate=Fate.READY_TO_SIGN)

    def sign_off(self, role: str, payload: bytes, key_of: str | None = None) -> None:
        key_id, signature = self.signers.sign(key_of or role, payload)
        facts = facts_of(payload)
        self.state.add_sign_off(
            RELEASE,
            StoredSignOff(
                uuid4().hex, role, RELEASE.digest, 1, facts.statement_digest, key_id, "arn", signature, role, "arn", "r", SIGNED
            ),
        )

    def inputs(self, candidate: Candidate):
        payload = self.state.statement(candidate.release, candidate.series).payload
        sign_offs = verified_sign_offs(self.state.sign_offs(RELEASE), [payload], self.signers.keys())
        return replace(COMPLETE, statement=facts_of(payload), sign_offs=sign_offs, now=DECIDED, **self.changes)

    def keep(self, _run: str, name: str, content: bytes) -> None:
        self.kept[name] = content

    def tell(self, order) -> Published:
        self.told.append(order.key)
        return Published(self.answer, "as asked")

    def door(self, holder: str = "run-1", **changes) -> PromotionDoor:
        session = SimpleNamespace(
            state=changes.pop("state", self.state),
            keys=self.signers.keys(),
            signed_by_gate=changes.pop("sign", lambda payload: self.signers.sign(GATE, payload)),
            run=SimpleNamespace(run_id=holder, store=SimpleNamespace(write_attestation=changes.pop("keep", self.keep))),
        )
        given = {"inputs": self.inputs, "publish": self.tell, "wall": lambda: self.wall, **changes}
        return PromotionDoor(session, **given)

    def fate(self) -> Fate:
        return self.state.candidate(RELEASE).fate


@pytest.fixture
def bench(reader, aws, signers) -> Bench:
    name = f"phase5-readiness-{uuid4().hex[:8]}"
    aws.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return Bench(reader, name, signers)


def without_context() -> bytes:
    """A readiness statement as an earlier version wrote it."""
    statement = json.loads(readiness_payload(RELEASE))
    del statement["predicate"]["configuration"][0]["annotations"]["context"]
    return canonical_json(statement)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (readiness_payload(RELEASE, context={"pipeline_execution_id": "signed"}), {"pipeline_execution_id": "signed"}),
        (readiness_payload(RELEASE), {}),
        (without_context(), {"pipeline_execution_id": "of the item"}),
    ],
)
def test_the_target_gets_the_context_that_was_signed_whatever_the_candidates_item_says(bench, payload, told):
    bench.ready(payload=payload, context={"pipeline_execution_id": "of the item"})
    orders = []

    def target(order) -> Published:
        orders.append(order)
        return bench.tell(order)

    assert promote(bench.door(publish=target), RELEASE).ending is Ending.PROMOTED
    assert [order.context for order in orders] == [told]


def test_an_open_candidate_is_promoted_once_and_what_is_kept_verifies_offline(bench, signers):
    bench.ready()
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.fate(), bench.told) == (Ending.PROMOTED, Fate.PROMOTED, [idempotency_key(RELEASE, 1)])
    assert set(bench.kept) == {READINESS_FILE, DECISION_FILE}
    week = timedelta(days=7)
    assert (
        verify(
            bench.kept, digest=RELEASE.digest, keys=signers.keys(), now=DECIDED, max_age=week, environment=RELEASE.environment
        ).problems
        == ()
    )
    again = promote(bench.door("run-2"), RELEASE)
    assert (again.ending, again.promotion, len(bench.told)) == (Ending.ALREADY_PROMOTED, outcome.promotion, 1)


def test_a_record_that_somebody_wrote_into_the_table_is_no_promotion(bench):
    bench.ready()
    forged = Promotion("run-0", NOW, idempotency_key(RELEASE, 1), "{}", "{}", "as asked")
    bench.state.record_promotion(RELEASE, 1, forged)
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.told, bench.fate()) == (Ending.BLOCKED, [], Fate.READY_TO_SIGN)
    assert "cannot be trusted" in outcome.reasons[0]


def test_a_closed_gate_promotes_nothing_and_gives_every_reason(bench):
    bench.ready()
    closing = (Reason("release", "FAIL", "alarm_firing", "a", "ALARM"), Reason("release", "FAIL", "alarm_firing", "b", "ALARM"))
    bench.changes = {"closing": closing}
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, outcome.reasons) == (Ending.BLOCKED, tuple(map(str, closing)))
    assert (bench.told, bench.state.lock(RELEASE, 1)) == ([], None)


def test_three_signatures_by_one_roles_key_promote_nothing(bench):
    candidate = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline")
    bench.state.register(candidate)
    payload = readiness_payload(RELEASE)
    key_id, signature = bench.signers.sign(GATE, payload)
    bench.state.freeze_statement(RELEASE, 1, payload, signature, key_id)
    for role in ROLES:
        bench.sign_off(role, payload, key_of="ops-sre")
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.BLOCKED, [])
    assert "signature_of_another_role" in " ".join(outcome.reasons)


def test_a_statement_that_another_key_than_the_gates_froze_promotes_nothing(bench):
    candidate = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline")
    bench.state.register(candidate)
    payload = readiness_payload(RELEASE)
    bench.state.freeze_statement(RELEASE, 1, payload, *reversed(bench.signers.sign("ops-sre", payload)))
    for role in ROLES:
        bench.sign_off(role, payload)
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.BLOCKED, [])
    assert "gate has not signed" in " ".join(outcome.reasons)


def test_a_release_that_nobody_registered_or_with_another_digest_is_stopped(bench):
    assert promote(bench.door(), RELEASE).ending is Ending.STOPPED
    bench.ready()
    other = replace(RELEASE, digest="sha256:" + "0" * 64)
    assert (promote(bench.door(), other).ending, bench.told) == (Ending.STOPPED, [])


@pytest.mark.parametrize("fate", [Fate.ABORTED, Fate.REJECTED, Fate.SUPERSEDED, Fate.PROMOTED])
def test_a_candidate_that_is_over_is_not_promoted(bench, fate):
    bench.state.set_fate(bench.ready(), fate, "because")
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.STOPPED, [])


def test_a_candidate_aborted_after_the_decision_is_not_published(bench):
    candidate = bench.ready()

    def signs_while_somebody_aborts(payload):
        bench.state.set_fate(candidate, Fate.ABORTED)
        return bench.signers.sign(GATE, payload)

    outcome = promote(bench.door(sign=signs_while_somebody_aborts), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.STOPPED, [])


@pytest.mark.parametrize(
    ("later", "fate", "ending"),
    [
        (timedelta(hours=1), Fate.PROMOTED, Ending.STOPPED),
        (timedelta(hours=1), Fate.BREAK_GLASS, Ending.STOPPED),
        (timedelta(hours=1), Fate.READY_TO_SIGN, Ending.PROMOTED),
        (timedelta(hours=-1), Fate.PROMOTED, Ending.PROMOTED),
    ],
)
def test_a_release_that_a_newer_one_overtook_is_not_promoted_by_whoever_launches_it(bench, later, fate, ending):
    bench.ready()
    newer = Release("r-newer", "sha256:" + "e" * 64, RELEASE.environment)
    candidate = Candidate(newer, 1, Fate.PENDING, NOW + later, NOW + timedelta(days=1), "pipeline")
    bench.state.list_open(newer, NOW)
    bench.state.register(candidate)
    bench.state.set_fate(candidate, fate)
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, len(bench.told)) == (ending, ending is Ending.PROMOTED)
    if ending is Ending.STOPPED:
        assert f"r-newer, registered later, is {fate}" in str(outcome.reasons)


def test_another_runs_fresh_lock_is_waited_for_and_an_old_one_is_taken_over(bench):
    bench.ready()
    bench.answer = Publication.UNKNOWN
    assert promote(bench.door("run-1"), RELEASE).ending is Ending.NOT_TAKEN
    bench.answer = Publication.PUBLISHED
    assert promote(bench.door("run-2"), RELEASE).ending is Ending.WAITING
    bench.wall += timedelta(minutes=5, seconds=1)
    assert promote(bench.door("run-2"), RELEASE).ending is Ending.PROMOTED
    assert len(bench.told) == 2
    assert set(bench.told) == {idempotency_key(RELEASE, 1)}


def test_an_abandoned_lock_does_not_promote_what_is_closed_by_now_and_says_that_it_was_begun(bench):
    bench.ready()
    bench.answer = Publication.UNKNOWN
    promote(bench.door("run-1"), RELEASE)
    bench.wall += timedelta(minutes=6)
    bench.changes = {"closing": (Reason("release", "FAIL", "alarm_firing", "a", "ALARM"),)}
    outcome = promote(bench.door("run-2"), RELEASE)
    assert (outcome.ending, len(bench.told)) == (Ending.BLOCKED, 1)
    assert "run-1 began to promote" in outcome.reasons[-1]
    assert "may have reached the target" in outcome.reasons[-1]


def test_a_run_that_slept_since_its_decision_does_not_publish(bench):
    bench.ready()
    ticks = iter([0.0, 301.0])
    outcome = promote(bench.door(monotonic=lambda: next(ticks)), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.BLOCKED, [])


def test_a_run_whose_lock_was_taken_over_does_not_publish(bench):
    bench.ready()
    slept = bench.state

    class TakenOver(StateTable):
        def prepare_promotion(self, release, series, mine, **about):
            done = super().prepare_promotion(release, series, mine, **about)
            slept.take_over_lock(release, series, slept.lock(release, series), "run-2", bench.wall + timedelta(minutes=6))
            return done

    outcome = promote(bench.door(state=TakenOver(bench.reader, bench.table)), RELEASE)
    assert (outcome.ending, bench.told) == (Ending.WAITING, [])


@pytest.mark.parametrize("publication", [Publication.TAKEN, Publication.REFUSED, Publication.UNKNOWN])
def test_what_the_target_did_not_clearly_take_is_not_recorded_as_promoted(bench, publication):
    bench.ready()
    bench.answer = publication
    outcome = promote(bench.door(), RELEASE)
    assert (outcome.ending, bench.state.promotion(RELEASE, 1), bench.fate()) == (Ending.NOT_TAKEN, None, Fate.READY_TO_SIGN)
    assert publication in outcome.reasons[0]


def test_a_state_table_that_cannot_be_read_promotes_nothing(bench, aws):
    bench.ready()
    gone = StateTable(bench.reader, "no-such-table")
    with pytest.raises(StateError, match="phase5 init"):
        promote(bench.door(state=gone), RELEASE)
    assert bench.told == []


def test_two_runs_at_once_promote_once(bench):
    bench.ready()
    endings = []
    runs = [
        threading.Thread(target=lambda name=name: endings.append(promote(bench.door(name), RELEASE).ending))
        for name in ("run-1", "run-2", "run-3")
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len(bench.told) == 1
    assert endings.count(Ending.PROMOTED) == 1
    assert set(endings) <= {Ending.PROMOTED, Ending.ALREADY_PROMOTED, Ending.WAITING}


# --- killed anywhere ---------------------------------------------------------------------------------------------------------

WRITES = ("sign", "lock", "prepared", "publish", "signed", "record", "note", "fate", "readiness file", "decision file")


class Mortal(AwsReader):
    """A reader whose process dies at the nth write, before it is made or after."""

    def __init__(self, session, at: int, *, after: bool) -> None:
        super().__init__(ReadingSettings(max_attempts=1, deadline_seconds=60), session=session)
        self.at, self.after, self.writes = at, after, 0

    def call(self, service, operation, resource, **params):
        if operation not in ("put_item", "update_item"):
            return super().call(service, operation, resource, **params)
        return self.dying(lambda: super(Mortal, self).call(service, operation, resource, **params))

    def dying(self, write):
        mine, self.writes = self.writes, self.writes + 1
        if mine == self.at and not self.after:
            raise Killed
        done = write()
        if mine == self.at:
            raise Killed
        return done


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(len(WRITES)), ids=WRITES)
def test_a_run_killed_at_any_write_leaves_exactly_one_effect_after_the_next_run(bench, aws, at, after):
    bench.ready()
    target = PromotionPolicy(target="ssm", ssm_parameter=f"/phase5/{uuid4().hex[:8]}")
    mortal = Mortal(aws, at, after=after)
    door = bench.door(
        state=StateTable(mortal, bench.table),
        sign=lambda payload: mortal.dying(lambda: bench.signers.sign(GATE, payload)),
        publish=lambda order: mortal.dying(lambda: publish(bench.reader, target, order)),
        keep=lambda *file: mortal.dying(lambda: bench.keep(*file)),
    )
    with pytest.raises(Killed):
        promote(door, RELEASE)
    bench.wall += timedelta(minutes=6)
    outcome = promote(bench.door("run-2", publish=lambda order: publish(bench.reader, target, order)), RELEASE)
    assert outcome.promoted
    assert aws.client("ssm").get_parameter(Name=target.ssm_parameter)["Parameter"]["Version"] == 1
    assert (bench.fate(), set(bench.kept)) == (Fate.PROMOTED, {READINESS_FILE, DECISION_FILE})
    assert bench.state.promotions(RELEASE.environment) == [(RELEASE.name, frozenset())]
    given = {"max_age": timedelta(days=7), "environment": RELEASE.environment}
    assert verify(bench.kept, digest=RELEASE.digest, keys=bench.signers.keys(), now=DECIDED, **given).ok


def test_every_write_of_a_promotion_is_one_of_those_that_are_killed(bench, aws):
    bench.ready()
    mortal = Mortal(aws, -1, after=False)
    door = bench.door(
        state=StateTable(mortal, bench.table),
        sign=lambda payload: mortal.dying(lambda: bench.signers.sign(GATE, payload)),
        publish=lambda order: mortal.dying(lambda: bench.tell(order)),
        keep=lambda *file: mortal.dying(lambda: bench.keep(*file)),
    )
    assert promote(door, RELEASE).ending is Ending.PROMOTED
    assert mortal.writes == len(WRITES)
