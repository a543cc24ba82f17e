"""Records of runs in the state table: appended without a gap whoever writes at once, never changed, and believed as signed."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.evidence.histories import Break, Head, Standing
from phase5_ops.gate.approval.history_acceptance import trusted_acceptances
from phase5_ops.gate.attestation.acceptance import Acceptance, acceptance_payload
from phase5_ops.gate.attestation.envelopes import canonical_json
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.run_record import RunFound, record_of, record_payload
from phase5_ops.gate.decision.recorded_rules import LeftEvidence, confirmed_runs, record_problems
from phase5_ops.gate.records import OtherRun
from phase5_ops.gate.state.items import StateError, Written
from phase5_ops.gate.state.run_records import RunRecords, RunTrail, StoredAcceptance
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import NOW
from phase5_ops_tests.gate.people import Desk

BROKEN = Break("history_starts_anew", "run", "history.sqlite", "a of 3, head b", "c of 1, head c")


def found(run_id: str = "run-1", **changes) -> RunFound:
    standing = Standing({"history.sqlite": Head("a", 3, "b")}, {"table:ledger": "l"}, (BROKEN,), (1, "sha256:x"))
    verdicts = {"gate_blocks_on_failure": Verdict.PASS}
    made = RunFound("production", run_id, NOW, False, ("gate_drill",), None, "sha256:" + "e" * 64, verdicts, standing)
    return replace(made, **changes)


def unsigned(_payload: bytes) -> tuple[str, bytes]:
    return "", b""


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path)


@pytest.fixture
def records(desk, reader) -> RunRecords:
    return RunRecords(reader, desk.settings.tables.readiness)


def test_a_record_is_read_back_whole_and_only_by_its_own_kind():
    made = found(release_digest="sha256:" + "d" * 64, fixed_now=True, assets=None)
    record = record_of(record_payload(made, 7, "sha256:p"))
    assert (record.found, record.seq, record.previous) == (made, 7, "sha256:p")
    content = json.loads(record.payload)
    broken = [
        {"schema": "x"},
        {"fixed_now": 1},
        {"verdicts": {"a": "FINE"}},
        {"standing": {}},
        {"ended_at": "today"},
        {"seq": "x"},
    ]
    for change in broken:
        with pytest.raises(ValueError, match=r".+"):
            record_of(canonical_json({**content, **change}))
    for name in content:
        with pytest.raises(ValueError, match=r".+"):
            record_of(canonical_json({key: value for key, value in content.items() if key != name}))
    for payload in (b"", b"[]", b"\xff", b'{"a":1,"a":2}'):
        with pytest.raises(ValueError, match=r".+"):
            record_of(payload)


def test_records_are_numbered_and_chained_and_read_newest_first(records):
    assert list(records.newest_first("production")) == []
    made = [records.append(found(f"run-{number}"), unsigned) for number in range(3)]
    records.append(found("elsewhere", environment="staging"), unsigned)
    assert list(records.newest_first("production")) == made[::-1]
    assert [each.seq for each in made] == [1, 2, 3]
    assert [each.previous for each in made] == ["", made[0].digest, made[1].digest]


def test_a_run_is_recorded_once_and_two_that_end_at_once_lose_none(records, desk, reader):
    first = records.append(found("run-1"), unsigned)
    assert records.append(found("run-1"), unsigned) == first
    other, raced = RunRecords(reader, desk.settings.tables.readiness), []

    def slow(payload: bytes) -> tuple[str, bytes]:
        if not raced:
            raced.append(other.append(found("faster"), unsigned))
        return "", b""

    assert records.append(found("slower"), slow).seq == 3
    assert [each.found.run_id for each in records.newest_first("production")] == ["slower", "faster", "run-1"]


def test_pages_are_read_no_further_back_than_is_asked_for(records, reader, monkeypatch):
    monkeypatch.setattr("phase5_ops.gate.state.run_records._PAGE", 2)
    for number in range(5):
        records.append(found(f"run-{number}"), unsigned)
    before = reader.meter.calls["dynamodb:Query"]
    trail = RunTrail(records, "production")
    assert [each.seq for each in trail.back_to("run-3")] == [5, 4]
    assert [each.seq for each in trail.back_to("run-4")] == [5]
    assert reader.meter.calls["dynamodb:Query"] - before == 1
    assert [each.seq for each in trail.back_to("run-0")] == [5, 4, 3, 2, 1]
    assert [each.seq for each in trail.back_to("unknown")] == [5, 4, 3, 2, 1]
    assert trail.candidate_before("run-4") is None
    records.append(found("of-candidate", release_digest="sha256:" + "d" * 64), unsigned)
    records.append(found("run-6"), unsigned)
    later = RunTrail(records, "production")
    assert later.candidate_before("run-6").found.run_id == "of-candidate"
    assert later.candidate_before("of-candidate") is None
    assert [each.seq for each in later.back_to("run-6")] == [7]
    assert [each.seq for each in RunTrail(records, "production", most=3).back_to("run-0")] == [7, 6, 5]


@pytest.mark.parametrize("change", [{"payload": {"B": b"x"}}, {"payload": {"N": "1"}}, {"sk": {"S": "RUN#000000009"}}])
def test_an_item_that_is_no_record_is_named_and_nothing_is_known(records, desk, aws, change):
    records.append(found(), unsigned)
    table, dynamodb = desk.settings.tables.readiness, aws.client("dynamodb")
    (item,) = dynamodb.scan(TableName=table)["Items"]
    dynamodb.put_item(TableName=table, Item={**item, **change})
    with pytest.raises(StateError, match="RUNS#production RUN#"):
        list(records.newest_first("production"))


def test_a_table_that_does_not_answer_is_said(records, aws_faults):
    aws_faults.add(operation="PutItem", kind="denied")
    with pytest.raises(StateError, match="PutItem"):
        records.append(found(), unsigned)
    aws_faults.add(operation="Query", kind="denied")
    with pytest.raises(StateError, match="Query"):
        list(records.newest_first("production"))


def test_a_run_without_a_record_cures_nothing_and_a_run_under_a_fixed_clock_counts_only_in_a_sandbox():
    own = record_of(record_payload(found("own"), 1, ""))
    fixed = record_of(record_payload(found("newer", fixed_now=True, ended_at=NOW + timedelta(hours=1)), 2, own.digest))
    passed = {"4.3": (Verdict.PASS, ())}
    left = {"newer": LeftEvidence(own.found.manifest, passed)}
    known = (OtherRun("unrecorded", "production", NOW, passed),)
    for allowed, wanted in ((False, ["unrecorded"]), (True, ["unrecorded", "newer"])):
        runs = confirmed_runs(known, (fixed, own), left, "own", None, allow_fixed_now=allowed)
        assert [run.run_id for run in runs] == wanted
        assert runs[0].confirmed is False
    assert runs[1].rows == passed
    assert record_problems((fixed, own), "own", own.found.manifest, None) == ()


# --- acceptances -------------------------------------------------------------------------------------------------------------


def acceptance(**changes) -> Acceptance:
    made = Acceptance("a-1", "production", "run-1", (BROKEN,), "ops-sre", "alice", "restored", "OPS-1", NOW)
    return replace(made, **changes)


def stored(signers, accepted: Acceptance, by: str = "ops-sre", **changes) -> StoredAcceptance:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE
    from phase5_ops.gate.attestation.envelopes import pae

    payload = acceptance_payload(accepted)
    signature = signers.private[by].sign(pae(payload, changes.pop("signed_as", ACCEPTANCE_TYPE)), ec.ECDSA(SHA256()))
    return replace(StoredAcceptance(accepted.id, payload, signers.trusted(by).key_id, signature), **changes)


def test_an_acceptance_counts_only_as_a_role_signed_it(signers):
    keys = signers.keys()
    good = stored(signers, acceptance())
    assert trusted_acceptances([good], "production", keys) == [acceptance()]
    for bad in (
        stored(signers, acceptance(), by="eng-reliability"),  # another role's key than it names
        stored(signers, acceptance(role=GATE), by=GATE),
        stored(signers, acceptance(identity="")),
        stored(signers, acceptance(), id="a-2"),
        stored(signers, acceptance(), signature=b"x"),
        stored(signers, acceptance(), key_id="unknown"),
        stored(signers, acceptance(), payload=acceptance_payload(acceptance(breaks=()))),
        stored(signers, acceptance(), payload=b"{}"),
        stored(signers, acceptance(), signed_as="application/vnd.phase5.waiver+json"),
        stored(signers, acceptance(environment="staging")),
    ):
        assert trusted_acceptances([bad], "production", keys) == []
    assert trusted_acceptances([good], "production", signers.keys(ops_sre=NOW)) == []


def test_an_acceptance_is_kept_once_and_what_is_none_is_passed_over(records, desk, aws, signers):
    good = stored(signers, acceptance())
    assert records.accept("production", good) is Written.DONE
    assert records.accept("production", replace(good, payload=b"other")) is Written.REFUSED
    item = {"pk": {"S": "HISTORY#production"}, "sk": {"S": "ACCEPTED#x"}}
    aws.client("dynamodb").put_item(TableName=desk.settings.tables.readiness, Item=item)
    assert records.acceptances("production") == [good]
    assert records.acceptances("staging") == []
