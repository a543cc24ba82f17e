"""What a later version may have written is refused, and never half understood; what names no version is of the first."""

import json
from collections.abc import Callable

import dagster as dg
import pytest

from phase5_ops.build import WORDS
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.store import SCHEMA, EvidenceStore, Origin
from phase5_ops.gate.attestation.acceptance import Acceptance, acceptance_of, acceptance_payload
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, canonical_json, read_envelope
from phase5_ops.gate.attestation.keys import KeysError, keys_document, parse_keys
from phase5_ops.gate.attestation.observation import Agreement, Observation, observation_of, observation_payload
from phase5_ops.gate.attestation.override_statement import override_of
from phase5_ops.gate.attestation.readiness_statement import readiness_facts
from phase5_ops.gate.attestation.run_record import record_of, record_payload
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.attestation.waiver import waiver_of
from phase5_ops.gate.defs.sensor import run_tick
from phase5_ops.gate.inputs.dagster_records import stored_bundle
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import ReadinessRun, RunFacts, RunState
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import StateError
from phase5_ops.gate.state.stated_documents import NotStated
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, Signers, decision_payload, readiness_payload
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.state.test_run_records import BROKEN, found

pytestmark = pytest.mark.slow

ACCEPTED = Acceptance("a", "production", "run-1", (BROKEN,), "ops-sre", "bob", "why", "T-1", NOW)
SEEN = Observation(RELEASE, 1, "", NOW, Agreement.AGREES, RELEASE.digest, "how", ())
NEWER = "it is of version 2, and this phase5 knows version 1 alone"

READS: dict[str, Callable[[GateSession], object]] = {
    "candidate": lambda gate: gate.state.candidate(RELEASE),
    "statement": lambda gate: gate.state.statement(RELEASE, 1),
    "statements": lambda gate: gate.state.statements(RELEASE),
    "sign-offs": lambda gate: gate.state.sign_offs(RELEASE),
    "waivers": lambda gate: gate.state.waivers(RELEASE),
    "lock": lambda gate: gate.state.lock(RELEASE, 1),
    "prepared": lambda gate: gate.state.prepared_promotion(RELEASE, 1),
    "promotion": lambda gate: gate.state.promotion(RELEASE, 1),
    "noted promotions": lambda gate: gate.state.noted_releases(RELEASE.environment),
    "pinned keys": lambda gate: gate.pinned,
    "records of runs": lambda gate: list(gate.records.newest_first(RELEASE.environment)),
    "observations": lambda gate: gate.observations.all(RELEASE.environment),
    "what the gate said": lambda gate: gate.documents.newest(RELEASE, 1),
}


@pytest.fixture
def desk(audited_desk) -> Desk:
    return audited_desk


def make_newer(desk: Desk, version: object = 2, *, only: str = "") -> None:
    """Marks items as written by a later version."""
    table = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness)
    for item in table.scan()["Items"]:
        if item["sk"].startswith(only):
            table.put_item(Item={**item, "schema": version})


@pytest.mark.parametrize("what", READS)
def test_an_item_of_a_newer_version_is_refused_with_what_to_do(desk, what):
    gate = desk.open()
    READS[what](gate)  # as it is it can be read
    make_newer(desk)
    unread = GateSession(gate.run)
    with pytest.raises((StateError, NotStated), match=NEWER):
        READS[what](unread)


def test_an_item_that_names_the_first_version_is_read_like_one_that_names_none(desk):
    gate = desk.open()
    before = [read(gate) for read in READS.values()]
    make_newer(desk, 1)
    unread = GateSession(gate.run)
    assert [read(unread) for read in READS.values()][:4] == before[:4]
    assert READS["observations"](unread) == before[list(READS).index("observations")]


def test_what_people_ordered_or_accepted_in_a_newer_version_counts_for_nothing(desk):
    make_newer(desk, only="OVERRIDE#")
    make_newer(desk, only="ACCEPTED#")
    gate = GateSession(desk.open().run)
    assert {(order.payload, order.signatures) for order in gate.state.overrides(RELEASE.environment)} == {(b"", ())}
    assert gate.records.acceptances(RELEASE.environment) == []


def test_a_table_that_a_newer_version_took_over_stops_the_gate_in_one_line(desk):
    make_newer(desk, only="PINNED")
    with dg.DagsterInstance.ephemeral() as instance:
        tick = run_tick(DecidingSession(open_run(desk.settings, "tick"), at=NOW, instance=instance), None, NOW, WORDS)
    (line,) = tick.lines
    assert line.startswith("this tick stopped: ")
    assert f"{NEWER}; update phase5 here, see docs/upgrading.md" in line
    assert tick.requests == []


def test_a_candidate_of_a_newer_version_is_told_of_and_stops_no_other(desk):
    gate = desk.open()
    gate.state.list_open(RELEASE, NOW)
    make_newer(desk, only="CANDIDATE#")  # the entry by which it is found
    assert [candidate.release.name for candidate, _ in gate.state.open_candidates(RELEASE.environment)] == [RELEASE.name]
    make_newer(desk, only="CANDIDATE")
    told: list[StateError] = []
    assert gate.state.open_candidates(RELEASE.environment, malformed=told.append) == []
    assert NEWER in str(told[0])


def newer_readiness() -> bytes:
    statement = json.loads(readiness_payload())
    (evidence,) = (part for part in statement["predicate"]["configuration"] if part["name"] == "evidence")
    evidence["annotations"]["schema"] = 2
    return canonical_json(statement)


def newer_decision() -> bytes:
    statement = json.loads(decision_payload(b"{}"))
    statement["predicate"]["schemaVersion"] = 2
    return canonical_json(statement)


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (lambda content: readiness_facts(read_statement(content)), newer_readiness()),
        (lambda content: decision_facts(read_statement(content)), newer_decision()),
        (override_of, readiness_payload().replace(b"test-result/v0.1", b"test-result/v0.2")),
        (read_statement, b'{"_type":"https://in-toto.io/Statement/v2"}'),
        (read_envelope, b'{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[],"schema":2}'),
        (record_of, record_payload(found(), 1, "").replace(b"run-record/v1", b"run-record/v2")),
        (acceptance_of, acceptance_payload(ACCEPTED).replace(b"acceptance/v1", b"acceptance/v2")),
        (lambda content: observation_of(content, "", b""), observation_payload(SEEN, 1, "").replace(b"tion/v1", b"tion/v2")),
        (parse_keys, keys_document(Signers.fresh().keys()).replace(b"keys/v1", b"keys/v2")),
        (lambda content: waiver_of(content.decode()), b'{"schema":2}'),
    ],
)
def test_signed_content_of_a_newer_version_is_refused(read, content):
    with pytest.raises((MalformedEnvelope, KeysError, ValueError)):
        read(content)


def test_a_waiver_with_fields_that_are_not_known_is_none_even_if_all_others_are(desk):
    (stored,) = desk.open().state.waivers(RELEASE)
    table = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness)
    item = table.get_item(Key={"pk": f"RELEASE#{RELEASE.environment}#{RELEASE.name}", "sk": f"WAIVER#{stored.waiver.id}"})["Item"]
    with pytest.raises(ValueError, match=r"it also says only_on_sundays: update phase5"):
        waiver_of(json.dumps({**json.loads(item["waiver"]), "only_on_sundays": True}))


def test_evidence_of_a_newer_version_is_no_evidence_and_what_names_none_is_of_the_first(tmp_path):
    store = EvidenceStore(tmp_path)
    store.write_verdict("run-1", "gate_blocks_on_failure", {"verdict": "PASS"})
    store.write_origin("run-1", Origin(READINESS_JOB, "production", False, None))
    path = tmp_path / "run-1" / "run.json"
    said = json.loads(path.read_text())
    assert said.pop("schema") == SCHEMA == "phase5.evidence/v1"
    path.write_text(json.dumps(said))
    digest = store.seal("run-1")
    facts = RunFacts("run-1", READINESS_JOB, RunState.FINISHED, "production", None)
    run = ReadinessRun(facts, None, 0, 0, NOW, digest)
    assert store.origin("run-1").environment == "production"
    assert stored_bundle(store, run).digest == digest
    for version in ("phase5.evidence/v2", 2, None):
        path.write_text(json.dumps({**said, "schema": version}))
        store.seal("run-1")
        assert stored_bundle(store, run) is None
        for read in (store.origin, store.sealed_verdicts):
            with pytest.raises(ValueError, match=r"this phase5 reads phase5\.evidence/v1 alone: update it"):
                read("run-1")
