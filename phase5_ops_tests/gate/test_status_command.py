"""`phase5 status`: a list for people, and for one release the document a pipeline asks; unknown is never open."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import jsonschema
import pytest

from phase5_ops import cli, status_command
from phase5_ops.checklist import ROLES
from phase5_ops.gate import fresh_reasons
from phase5_ops.gate.envelopes import envelope_bytes
from phase5_ops.gate.keys import GATE
from phase5_ops.gate.signing import load_key, sign
from phase5_ops.gate.state import Candidate, Fate, Promotion
from phase5_ops.gate.statements import facts_of
from phase5_ops.gate.waivers import Waiver
from phase5_ops.report.document import shipped_json_schema
from phase5_ops.settings import ConfigurationError
from phase5_ops.status_command import open_candidates, release_status
from phase5_ops_tests.gate.conftest import NOW, RELEASE, decision_payload, readiness_payload
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.test_release_document import complete as complete_with_files


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path / "state")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(desk.settings.state_dir))
    monkeypatch.setenv("PHASE5_TABLES__READINESS", desk.settings.tables.readiness)
    return desk


@pytest.fixture
def instance():
    with dg.DagsterInstance.ephemeral() as chosen:
        yield chosen


def phase5(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr()
    return end.value.code, out.out, out.err


def envelope(desk: Desk, payload: bytes, signers: tuple[str, ...]) -> bytes:
    session = desk.open()
    made = [sign(session.reader, load_key(session.reader, desk.settings.signing, role), payload) for role in signers]
    return envelope_bytes(payload, {each.key_id: each.signature for each in made})


def judged(monkeypatch, desk: Desk, *, closing=(), signed: bool = True) -> None:
    """The candidate's stored evidence opens; what is looked at afresh says `closing`."""
    complete = complete_with_files()

    def inputs(sources, candidate):
        frozen = sources.state.statement(candidate.release, candidate.series)
        facts = facts_of(frozen[0])
        offs = tuple(replace(off, statement_digest=facts.statement_digest) for off in complete.sign_offs)
        return replace(complete, statement=facts, sign_offs=offs if signed else ())

    monkeypatch.setattr(status_command, "read_inputs", inputs)
    monkeypatch.setattr(status_command, "look_again", lambda _sources, inputs: replace(inputs, closing=closing))


def test_a_candidate_without_a_run_is_undecided_and_its_document_keeps_the_schema(desk, monkeypatch, capsys):
    now = datetime.now(UTC)
    desk.open().state.register(Candidate(RELEASE, 1, Fate.PENDING, now, now + timedelta(days=1), "pipeline"))
    code, out, _ = phase5(monkeypatch, capsys, "status", RELEASE.name, "--format", "json")
    found = json.loads(out)
    jsonschema.validate(found, shipped_json_schema())
    assert (code, found["exit_code"], found["decision"], found["release"]) == (2, 2, "BLOCKED", RELEASE.name)
    assert found["blockers"][0].startswith("release BLOCKED no_readiness_run")
    assert (found["candidate"]["digest"], found["candidate"]["gate"]) == (RELEASE.digest, "BLOCKED")


def test_a_document_is_written_to_a_file_and_the_exit_code_stays_the_same(desk, monkeypatch, capsys, tmp_path):
    desk.ready()
    target = tmp_path / "status.md"
    code, out, _ = phase5(monkeypatch, capsys, "status", RELEASE.name, "--format", "markdown", "--output", str(target))
    assert (code, out) == (2, "")
    assert target.read_text().startswith(f"# Phase 5 readiness of {RELEASE.name} in production: BLOCKED")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no-such",), "no candidate no-such in production"),
        (("--format", "json"), "name a RELEASE"),
        ((RELEASE.name, "--output", "/no/such/folder/x"), "--output"),
    ],
)
def test_usage_errors_exit_with_three(desk, monkeypatch, capsys, arguments, said):
    desk.ready()
    code, _, err = phase5(monkeypatch, capsys, "status", *arguments)
    assert code == 3
    assert said in err


def test_a_fixed_clock_says_nothing_of_a_release(desk, instance):
    desk.ready()
    with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
        release_status(desk.settings.model_copy(update={"now": NOW}), instance, RELEASE.name)


def test_a_table_that_does_not_answer_is_unknown_and_a_broken_file_of_keys_a_configuration_error(
    desk, monkeypatch, capsys, aws_faults
):
    desk.ready()
    aws_faults.add("denied", service="dynamodb")
    code, out, err = phase5(monkeypatch, capsys, "status", RELEASE.name)
    assert (code, out) == (2, "")
    assert "nothing is known" in err
    aws_faults.clear()
    desk.promoted()
    desk.settings.state_dir.mkdir(exist_ok=True)
    (desk.settings.state_dir / "keys.json").write_text("{}")
    assert phase5(monkeypatch, capsys, "status", RELEASE.name)[0] == 3


def test_without_a_release_the_candidates_are_listed_with_what_they_wait_for(desk, instance):
    assert open_candidates(desk.settings, instance) == "no open candidate in production"
    candidate, state = desk.ready(), desk.open().state
    state.list_open(RELEASE, NOW)
    text = open_candidates(desk.settings, instance)
    assert text.startswith(f"{RELEASE.name} {RELEASE.digest} series 1 {candidate.fate}")
    assert "no_readiness_run" in text


def test_a_signed_candidate_is_open_for_the_pipeline_that_asks(desk, instance, monkeypatch):
    desk.ready()
    judged(monkeypatch, desk)
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code, found.blockers, found.candidate.gate) == ("OPEN", 0, [], "OPEN")
    judged(monkeypatch, desk, signed=False)
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 1, "READY_TO_SIGN")


def test_what_fires_now_closes_although_everything_stored_opens(desk, instance, monkeypatch):
    desk.ready()
    reason = fresh_reasons.ALARM_FIRING.at("release", "latency", "ALARM now")
    judged(monkeypatch, desk, closing=(reason,))
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 1, "BLOCKED")
    assert str(reason) in found.blockers


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate not in (Fate.PENDING, Fate.READY_TO_SIGN)])
def test_what_is_over_without_a_record_of_its_promotion_is_closed_although_its_rows_open(desk, instance, monkeypatch, fate):
    state = desk.open().state
    state.set_fate(desk.ready(), fate, "because")
    judged(monkeypatch, desk)
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code, found.blockers[0]) == ("BLOCKED", 1, f"release {fate}: because")


def test_a_promoted_release_is_open_with_its_attestation(desk, instance):
    desk.promoted()
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code, found.blockers) == ("OPEN", 0, [])
    assert (found.candidate.fate, found.candidate.gate) == ("PROMOTED", "OPEN")


@pytest.mark.parametrize("forged", ["not an envelope", None], ids=["no envelope", "signed by a role"])
def test_a_promotion_whose_attestation_does_not_verify_is_not_open(desk, instance, forged):
    desk.ready()
    readiness = envelope(desk, readiness_payload(), (GATE, *ROLES))
    decision = forged or envelope(desk, decision_payload(readiness), ("ops-sre",)).decode()
    state = desk.open().state
    state.record_promotion(RELEASE, 1, Promotion("run-1", NOW, "key", readiness.decode(), decision, "ok"))
    state.set_fate(state.candidate(RELEASE), Fate.PROMOTED)
    found = release_status(desk.settings, instance, RELEASE.name)
    assert (found.decision, found.exit_code) == ("BLOCKED", 1)
    assert "attestation" in found.blockers[0]


def test_waivers_of_the_release_are_listed_with_the_number_of_releases(desk, instance, monkeypatch):
    desk.ready()
    judged(monkeypatch, desk)
    read, gap = status_command.read_inputs, ("alarm_missing", "a")
    given = Waiver("w", "1.2", RELEASE.digest, frozenset({gap}), "why", "T-1", NOW, NOW + timedelta(days=1), "ops-sre", "bob")
    monkeypatch.setattr(status_command, "read_inputs", lambda *arguments: replace(read(*arguments), waivers=(given,)))
    desk.open().state.note_promotion(replace(RELEASE, name="r-0"), 1, NOW - timedelta(days=1), {("1.2", gap)})
    (shown,) = release_status(desk.settings, instance, RELEASE.name).waivers
    assert (shown["releases_in_a_row"], shown["used"], shown["unmatched"]) == (2, False, [list(gap)])
