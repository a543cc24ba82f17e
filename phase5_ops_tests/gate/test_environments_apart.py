"""Environments with equal release names and keys, and one state table or several: what one does, no other sees or relies on."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import hypothesis
import pytest
from hypothesis import HealthCheck
from hypothesis import strategies as st

from phase5_ops.checklist import ROLES
from phase5_ops.evidence.histories import Break, Head, Standing
from phase5_ops.evidence.store import Ended, EvidenceStore
from phase5_ops.files import sha256_of
from phase5_ops.gate.approval.history_acceptance import trusted_acceptances
from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE, Acceptance, acceptance_payload
from phase5_ops.gate.attestation.envelopes import WAIVER_TYPE
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.attestation.run_record import RunFound
from phase5_ops.gate.attestation.waiver import waiver_payload
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.records import Outcome, Release, Waiver
from phase5_ops.gate.runs.continuity import _last_left
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs, verified_waivers
from phase5_ops.gate.state.items import Candidate, Fate, Lock, Promotion, StateError, StoredSignOff, StoredWaiver
from phase5_ops.gate.state.run_records import StoredAcceptance
from phase5_ops.gate.state.stated_documents import NotStated
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, readiness_payload
from phase5_ops_tests.gate.people import Desk, complete_for_release

pytestmark = pytest.mark.slow

ENVIRONMENTS = ("production", "staging", "production-eu")
BROKEN = Break("history_starts_anew", "run", "history.sqlite", "a of 3, head b", "c of 1, head c")
STANDING = Standing({"history.sqlite": Head("a", 3, "b")}, {"table:ledger": "l"}, (BROKEN,), (1, "sha256:x"))


class Place:
    """One environment of an installation; what is done in it is the same in each, but for its name."""

    def __init__(self, desk: Desk, environment: str) -> None:
        settings = desk.settings.model_copy(update={"environment": environment})
        self.desk = Desk(desk.session, settings)
        self.session: GateSession = self.desk.open()
        self.release = Release("r-1", DIGEST, environment)
        self.runs = 0

    def _signed(self, role: str, payload: bytes, kind: str | None = None) -> tuple[str, bytes]:
        key = load_key(self.session.reader, self.desk.settings.signing, role)
        made = sign(self.session.reader, key, payload, *([kind] if kind else []))
        return made.key_id, made.signature

    def register(self) -> None:
        self.session.state.list_open(self.release, NOW)
        self.session.state.register(Candidate(self.release, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline"))

    def freeze(self) -> None:
        payload = readiness_payload(self.release)
        key_id, signature = self._signed(GATE, payload)
        self.session.state.freeze_statement(self.release, 1, payload, signature, key_id)

    def sign(self) -> None:
        if (frozen := self.session.state.statement(self.release, 1)) is None:
            return
        for role in ROLES:
            key_id, signature = self._signed(role, frozen.payload)
            about = (role, DIGEST, 1, sha256_of(frozen.payload), key_id, "k", signature, f"{role} signs", "s", role, NOW)
            self.session.state.add_sign_off(self.release, StoredSignOff(role, *about))

    def waive(self) -> None:
        until, given = NOW + timedelta(days=3), {"environment": self.release.environment}
        waiver = Waiver("w", "1.2", DIGEST, frozenset({("c", "x")}), "why", "T-1", until, NOW, ROLES[1], "bob", **given)
        key_id, signature = self._signed(ROLES[1], waiver_payload(waiver), WAIVER_TYPE)
        self.session.state.add_waiver(self.release, StoredWaiver(waiver, key_id, signature))

    def lock(self) -> None:
        self.session.state.take_lock(self.release, 1, Lock(f"run-of-{self.release.environment}", NOW, "key"))

    def promote(self) -> None:
        record = Promotion(f"run-of-{self.release.environment}", NOW, "key", "{}", "{}", "done")
        self.session.state.record_promotion(self.release, 1, record)
        self.session.state.note_promotion(self.release, 1, NOW, ())

    def order(self) -> None:
        self.session.state.add_override(self.release.environment, "order", b"{}")

    def record(self) -> None:
        self.runs += 1
        verdicts = {"gate_blocks_on_failure": Verdict.PASS}
        run = RunFound(self.release.environment, f"run-{self.runs}", NOW, False, None, None, DIGEST, verdicts, STANDING)
        self.session.records.append(run, lambda payload: self._signed(GATE, payload))

    def accept(self) -> None:
        given = Acceptance("accepted", self.release.environment, "run-1", (BROKEN,), ROLES[0], "alice", "lost", "T-1", NOW)
        payload = acceptance_payload(given)
        key_id, signature = self._signed(ROLES[0], payload, ACCEPTANCE_TYPE)
        self.session.records.accept(self.release.environment, StoredAcceptance("accepted", payload, key_id, signature))

    def give_up(self) -> None:
        if (candidate := self.session.state.candidate(self.release)) is not None:
            self.session.state.set_fate(candidate, Fate.ABORTED)

    def seen(self) -> str:
        """Everything that this environment's gate reads, but for signatures, which differ each time they are made."""
        state, records, environment = self.session.state, self.session.records, self.release.environment
        found = {
            "candidate": state.candidate(self.release),
            "open": [each for each, _ in state.open_candidates(environment)],
            "statement": [facts_of(each.payload) for each in state.statements(self.release)],
            "sign-offs": [(each.role, each.identity, each.statement_digest) for each in state.sign_offs(self.release)],
            "waivers": [(each.waiver.id, each.waiver.environment) for each in state.waivers(self.release)],
            "lock": state.lock(self.release, 1),
            "promotion": state.promotion(self.release, 1),
            "promotions": state.promotions(environment),
            "overrides": [(each.id, each.payload) for each in state.overrides(environment)],
            "runs": [(each.seq, each.found.environment, each.found.run_id) for each in records.newest_first(environment)],
            "acceptances": [each.id for each in records.acceptances(environment)],
        }
        return "\n".join(f"{name}: {value}" for name, value in found.items())


ACTIONS: dict[str, Callable[[Place], None]] = {
    name: getattr(Place, name)
    for name in ("register", "freeze", "sign", "waive", "lock", "promote", "order", "record", "accept", "give_up")
}
steps = st.lists(st.tuples(st.sampled_from(ENVIRONMENTS), st.sampled_from(sorted(ACTIONS))), min_size=12, max_size=24)


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path)


def with_a_table(desk: Desk) -> Desk:
    """The same with a state table of its own."""
    session, name = desk.session, f"phase5-readiness-{uuid4().hex[:8]}"
    keys = (("pk", "HASH"), ("sk", "RANGE"))
    session.client("dynamodb").create_table(
        TableName=name,
        KeySchema=[{"AttributeName": each, "KeyType": kind} for each, kind in keys],
        AttributeDefinitions=[{"AttributeName": each, "AttributeType": "S"} for each, _ in keys],
        BillingMode="PAY_PER_REQUEST",
    )
    return Desk(session, desk.settings.model_copy(update={"tables": desk.settings.tables.model_copy(update={"readiness": name})}))


@hypothesis.settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@hypothesis.given(taken=steps, shared=st.sampled_from([True, True, True, False]))
def test_an_environment_sees_exactly_what_was_done_in_it_whatever_others_do_meanwhile(desk, taken, shared):
    one = with_a_table(desk)
    together = {name: Place(one if shared else with_a_table(desk), name) for name in ENVIRONMENTS}
    for environment, action in taken:
        ACTIONS[action](together[environment])
    for name, place in together.items():
        alone = Place(with_a_table(desk), name)
        for environment, action in taken:
            if environment == name:
                ACTIONS[action](alone)
        assert place.seen() == alone.seen()


def moved(desk: Desk, origin: str, to: str) -> None:
    """Writes every item of an environment under the keys of another, as somebody with the table in hand may do."""
    client, table = desk.session.client("dynamodb"), desk.settings.tables.readiness
    for item in client.scan(TableName=table)["Items"]:
        kind, _, rest = item["pk"]["S"].partition("#")
        if rest == origin or rest.startswith(f"{origin}#"):
            client.put_item(TableName=table, Item={**item, "pk": {"S": f"{kind}#{to}{rest.removeprefix(origin)}"}})


def decided(place: Place) -> Outcome:
    """What the gate decides of the candidate by what is in the state table, when everything else is in order."""
    (statement,), stored = place.session.state.statements(place.release), place.session.state.sign_offs(place.release)
    facts, complete = facts_of(statement.payload), complete_for_release(NOW, place.release)
    return decide(
        replace(
            complete,
            bundle=replace(complete.bundle, digest=facts.evidence_digest, sealed_digest=facts.evidence_digest),
            statement=facts,
            sign_offs=verified_sign_offs(stored, [statement.payload], place.session.keys),
        )
    ).outcome


def believed(place: Place) -> dict[str, object]:
    """What counts of all that was signed, as this environment's gate finds it."""
    state, keys, release = place.session.state, place.session.keys, place.release
    waivers = verified_waivers(state.waivers(release), keys, state.statements(release), environment=release.environment)
    accepted = trusted_acceptances(place.session.records.acceptances(release.environment), release.environment, keys)
    found: dict[str, object] = {
        "decision": decided(place),
        "waivers": [each.signed_by for each in waivers],
        "acceptances": [each.id for each in accepted],
    }
    for name, read in (
        ("runs", lambda: [each.found.run_id for each in place.session.records.newest_first(release.environment)]),
        ("document", lambda: place.session.documents.said(release, 1, keys).release),
    ):
        try:
            found[name] = read()
        except (StateError, NotStated):
            found[name] = "not believed"
    return found


def test_nothing_that_was_signed_for_one_environment_counts_in_another_although_the_keys_are_the_same(desk, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    staging, production = Place(desk, "staging"), Place(desk, "production")
    for action in ACTIONS.values():
        action(staging)
    staging.desk.states(release=staging.release)
    moved(desk, "staging", "production")
    assert believed(staging) == {
        "decision": Outcome.OPEN,
        "waivers": [ROLES[1]],
        "acceptances": ["accepted"],
        "runs": ["run-1"],
        "document": staging.release,
    }
    assert believed(production) == {
        "decision": Outcome.READY_TO_SIGN,  # as if nobody had signed
        "waivers": [None],
        "acceptances": [],
        "runs": "not believed",
        "document": "not believed",
    }


def test_runs_of_another_environment_in_one_state_folder_are_not_those_that_histories_continue_from(tmp_path):
    store = EvidenceStore(tmp_path)
    for number, environment in enumerate(("production", "staging", "production", "staging")):
        standing = replace(STANDING, heads={"history.sqlite": Head(environment, number, "b")})
        store.write_ended(f"run-{number}", Ended(environment, NOW + timedelta(hours=number), standing, ()))
        store.seal(f"run-{number}")
    left = {each: _last_left(store, each, "own") for each in ENVIRONMENTS}
    assert {name: standing and standing.heads["history.sqlite"].id for name, standing in left.items()} == {
        "production": "production",
        "staging": "staging",
        "production-eu": None,
    }
