"""`phase5 status`: a list for people, and for one release the document a pipeline asks; unknown is never open."""

import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import jsonschema
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.checklist import ROLES, ROWS
from phase5_ops.cli import app as cli
from phase5_ops.clock import iso
from phase5_ops.commands import status as status_command
from phase5_ops.commands.status import open_candidates, release_status, releases_exit_code, releases_json, releases_text
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.promotion.released import Released
from phase5_ops.gate.reasons import GateReason
from phase5_ops.gate.records import GateInputs, Release, RunFacts, RunState, Waiver
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.state.items import Candidate, Fate, Promotion
from phase5_ops.gate.state.notice_box import RUNS, NoticeBox, NoticeItem
from phase5_ops.gate.state.stated_documents import SILENT_AFTER
from phase5_ops.report.document import ReadinessDocument, json_schema
from phase5_ops.settings import ConfigurationError
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, decision_payload, readiness_payload
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.gate.state.test_run_records import found as run_found
from phase5_ops_tests.gate.state.test_run_records import unsigned
from phase5_ops_tests.report.test_release import complete as complete_with_files
from phase5_ops_tests.report.test_terminal import HOSTILE, RUNBOOK, WIDTHS, too_wide_or_steering

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path / "state")
    monkeypatch.setenv("PHASE5_STATE_DIR", str(desk.settings.state_dir))
    monkeypatch.setenv("PHASE5_TABLES__READINESS", desk.settings.tables.readiness)
    return desk


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


def judged(desk: Desk, *, closing=(), signed: bool = True, release: Release = RELEASE) -> GateInputs:
    """Inputs of a candidate whose stored evidence opens, while what is looked at afresh says `closing`."""
    complete = complete_with_files()
    facts = facts_of(desk.open().state.statement(release, 1).payload)
    about = {"statement_digest": facts.statement_digest, "release": release}
    run = RunFacts(complete.run_id, READINESS_JOB, RunState.FINISHED, release.environment, release.digest)
    return replace(
        complete,
        release=release,
        results={name: replace(result, run=run) for name, result in complete.results.items()},
        statement=facts,
        sign_offs=tuple(replace(off, **about) for off in complete.sign_offs) if signed else (),
        closing=closing,
    )


def shown(desk: Desk, now: datetime | None = None) -> ReadinessDocument:
    """What every machine shows now."""
    session = desk.open(now=now or datetime.now(UTC))
    return status_command.document_of(session, session.state.candidate(RELEASE))


def test_a_candidate_without_a_run_is_undecided_and_its_document_keeps_the_schema(desk, monkeypatch, capsys):
    now = datetime.now(UTC)
    desk.open().state.register(Candidate(RELEASE, 1, Fate.PENDING, now, now + timedelta(days=1), "pipeline"))
    desk.states()
    code, out, _ = phase5(monkeypatch, capsys, "status", RELEASE.name, "--format", "json")
    found = json.loads(out)
    jsonschema.validate(found, json_schema())
    assert (code, found["exit_code"], found["decision"], found["release"]) == (2, 2, "BLOCKED", RELEASE.name)
    assert found["blockers"][0].startswith("release BLOCKED no_readiness_run")
    assert (found["candidate"]["digest"], found["candidate"]["gate"]) == (RELEASE.digest, "BLOCKED")


def test_a_document_is_written_to_a_file_and_the_exit_code_stays_the_same(desk, monkeypatch, capsys, tmp_path):
    desk.ready()
    desk.states()
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


def test_a_fixed_clock_says_nothing_of_a_release(desk):
    desk.ready()
    with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
        release_status(desk.settings.model_copy(update={"now": NOW}), RELEASE.name)


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


def test_without_a_release_the_candidates_are_listed_with_what_they_wait_for(desk):
    assert open_candidates(desk.settings, 120).startswith("no open candidate in production\n")
    candidate, state = desk.ready(), desk.open().state
    state.list_open(RELEASE, NOW)
    assert "the gate has said nothing of" in open_candidates(desk.settings, 120)
    desk.states()
    text = open_candidates(desk.settings, 120)
    assert text.startswith(f"{RELEASE.name} {RELEASE.digest} series 1 {candidate.fate}\n  the gate is BLOCKED, as it said ")
    assert "no_readiness_run" in text


def test_lists_of_candidates_and_of_releases_make_as_many_calls_for_three_as_for_two(desk, monkeypatch):
    calls: list[str] = []
    read = AwsReader._read
    monkeypatch.setattr(AwsReader, "_read", lambda *given, **more: calls.append(given[2]) or read(*given, **more))
    counted = []
    for number in range(3):
        at = NOW + timedelta(minutes=number)
        state, release = desk.open().state, replace(RELEASE, name=f"r-{number}")
        state.list_open(release, at)
        state.register(Candidate(release, 1, Fate.PENDING, at, at + timedelta(days=1), "pipeline"))
        state.record_promotion(release, 1, Promotion("run", at, "key", "{}", "{}", "answer"))
        state.note_promotion(release, 1, at, ())
        calls.clear()
        assert f"r-{number} " in open_candidates(desk.settings, 400)
        listed = Counter(calls)
        assert len(status_command.releases(desk.settings)) == number + 1
        counted.append((listed, Counter(calls)))
    assert counted[1] == counted[2]


def test_the_list_shows_some_blockers_of_each_candidate(desk):
    desk.ready()
    desk.open().state.list_open(RELEASE, NOW)
    many = [GateReason.ALARM_FIRING_NOW.closes("release", f"alarm-{number:03}", "ALARM") for number in range(100)]
    desk.states(judged(desk, closing=tuple(many)))
    lines = open_candidates(desk.settings, 400).splitlines()
    assert [line for line in lines if "alarm-019" in line]
    assert not [line for line in lines if "alarm-020" in line]
    assert f"  and 80 more: phase5 status {RELEASE.name} shows them" in lines


@pytest.mark.parametrize(
    ("run", "look", "said"),
    [
        (
            None,
            None,
            ["no readiness run of the whole checklist is", "Dagster's daemon of the gate is not known to have"],
        ),
        (timedelta(hours=23), timedelta(minutes=29), []),
        (timedelta(hours=49), timedelta(minutes=29), ["the newest readiness run of the whole checklist is 2 d old ("]),
        (timedelta(hours=23), timedelta(minutes=61), ["Dagster's daemon of the gate looked last 61 min ago ("]),
    ],
)
def test_the_list_says_when_no_run_has_ended_for_a_day_and_when_the_daemon_has_not_looked(desk, run, look, said):
    now, session = datetime.now(UTC), desk.open()
    if run is not None:
        passed = {row.check: Verdict.PASS for row in ROWS if not row.is_sign_off}
        session.records.append(run_found("run-1", assets=None, ended_at=now - run, verdicts=passed), unsigned)
        session.records.append(run_found("a part", assets=("x",), ended_at=now), unsigned)
    if look is not None:
        NoticeBox(session.reader, desk.settings.tables.readiness).record(
            RELEASE.environment, NoticeItem(RUNS), {"looked_at": iso(now - look)}, (), over=False
        )
    first, *lines = open_candidates(desk.settings, 400).splitlines()
    assert first == "no open candidate in production"
    assert len(lines) == len(said)
    assert all(line.startswith(text) for line, text in zip(lines, said, strict=True))


def test_the_list_is_shown_also_where_it_cannot_be_told_whether_the_daemon_looked(desk, aws_faults):
    desk.ready()
    desk.open().state.list_open(RELEASE, NOW)
    aws_faults.add("denied", service="dynamodb", match="RUNS#")
    text = open_candidates(desk.settings, 400)
    assert text.startswith(RELEASE.name)
    assert "whether a readiness run has ended lately, and whether the gate's daemon runs, is not known: dynamodb" in text


def test_what_the_gate_has_not_said_is_undecided_and_says_what_is_needed(desk, monkeypatch, capsys):
    desk.ready()
    code, out, err = phase5(monkeypatch, capsys, "status", RELEASE.name, "--format", "json")
    assert (code, out) == (2, "")
    assert "the gate has said nothing of r-1.2.3 in production, series 1 yet" in err
    assert "promotion_gate" in err


def test_a_signed_candidate_is_open_for_the_pipeline_that_asks(desk):
    desk.ready()
    desk.states(judged(desk))
    found = shown(desk)
    assert (found.decision, found.exit_code, found.blockers, found.candidate.gate) == ("OPEN", 0, [], "OPEN")
    desk.states(judged(desk, signed=False))
    found = shown(desk)
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 1, "READY_TO_SIGN")


def test_a_gate_that_has_been_silent_for_long_is_undecided_whatever_it_said(desk):
    desk.ready()
    desk.states(judged(desk))
    found = shown(desk, datetime.now(UTC) + SILENT_AFTER + timedelta(minutes=1))
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 2, "BLOCKED")
    assert "the gate has said nothing since" in found.blockers[0]


def test_what_the_gate_said_with_a_clock_ahead_is_undecided_whatever_it_said(desk):
    desk.ready()
    desk.states(judged(desk))
    found = shown(desk, datetime.now(UTC) - timedelta(days=300))
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 2, "BLOCKED")
    assert "check the clocks" in found.blockers[0]


def test_what_fires_now_closes_although_everything_stored_opens(desk):
    desk.ready()
    reason = GateReason.ALARM_FIRING_NOW.closes("release", "latency", "ALARM now")
    desk.states(judged(desk, closing=(reason,)))
    found = shown(desk)
    assert (found.decision, found.exit_code, found.candidate.gate) == ("BLOCKED", 1, "BLOCKED")
    assert str(reason) in found.blockers


@pytest.mark.parametrize("fate", [fate for fate in Fate if fate not in (Fate.PENDING, Fate.READY_TO_SIGN)])
def test_what_is_over_without_a_record_of_its_promotion_is_closed_although_its_rows_open(desk, fate):
    candidate = desk.ready()
    desk.states(judged(desk))
    desk.open().state.set_fate(candidate, fate, "because")
    found = shown(desk)
    assert (found.decision, found.exit_code, found.blockers[0]) == ("BLOCKED", 1, f"release {fate}: because")
    assert (found.candidate.fate, found.candidate.closed_because, found.candidate.gate) == (fate, "because", "BLOCKED")


def test_a_promoted_release_is_open_with_its_attestation_however_old_the_document_is(desk):
    desk.promoted()
    desk.states(judged(desk))
    found = shown(desk, datetime.now(UTC) + timedelta(days=99))
    assert (found.decision, found.exit_code, found.blockers) == ("OPEN", 0, [])
    assert (found.candidate.fate, found.candidate.gate) == ("PROMOTED", "OPEN")


def test_a_promoted_release_is_undecided_until_the_gate_has_said_on_what(desk):
    desk.promoted()
    desk.states(judged(desk, signed=False))
    found = shown(desk)
    assert (found.decision, found.exit_code) == ("BLOCKED", 2)
    assert "the gate has not yet said on what" in found.blockers[0]


@pytest.mark.parametrize("forged", ["not an envelope", None], ids=["no envelope", "signed by a role"])
def test_a_promotion_whose_attestation_does_not_verify_is_not_open(desk, forged):
    desk.ready()
    readiness = envelope(desk, readiness_payload(), (GATE, *ROLES))
    decision = forged or envelope(desk, decision_payload(readiness), ("ops-sre",)).decode()
    state = desk.open().state
    desk.states(judged(desk))
    state.record_promotion(RELEASE, 1, Promotion("run-1", NOW, "key", readiness.decode(), decision, "ok"))
    state.set_fate(state.candidate(RELEASE), Fate.PROMOTED)
    found = shown(desk)
    assert (found.decision, found.exit_code) == ("BLOCKED", 1)
    assert "attestation" in found.blockers[0]


def test_waivers_of_the_release_are_listed_with_the_number_of_releases(desk):
    desk.ready()
    gap = ("alarm_missing", "a")
    given = Waiver("w", "1.2", RELEASE.digest, frozenset({gap}), "why", "T-1", NOW, NOW + timedelta(days=1), "ops-sre", "bob")
    desk.open().state.note_promotion(replace(RELEASE, name="r-0"), 1, NOW - timedelta(days=1), {("1.2", gap)})
    desk.states(replace(judged(desk), waivers=(given,)))
    (waiver,) = shown(desk).waivers
    assert (waiver["releases_in_a_row"], waiver["used"], waiver["unmatched"]) == (2, False, [list(gap)])


def test_the_list_keeps_to_the_columns_that_are_given_whatever_it_shows(desk, monkeypatch, capsys):
    closed, now = replace(RELEASE, name="r-closed"), datetime.now(UTC)
    state = desk.open().state
    given_up = Candidate(closed, 1, Fate.PENDING, now, now + timedelta(days=1), "pipeline")
    state.register(given_up)
    state.list_open(closed, NOW)
    state.set_fate(given_up, Fate.REJECTED, f"{HOSTILE} {RUNBOOK}")
    desk.ready()
    state.list_open(RELEASE, NOW)
    reason = GateReason.ALARM_FIRING_NOW.closes("release", HOSTILE, HOSTILE)
    desk.states(judged(desk, closing=(reason,)))
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = phase5(monkeypatch, capsys, "status")
        assert (code, too_wide_or_steering(out.rstrip("\n"), width)) == (0, [])
        lines = out.splitlines()
        assert [line.split()[0] for line in lines if line[0] != " "] == [RELEASE.name, "r-closed", "no", "Dagster's"]
        assert RUNBOOK in out.split()
        assert any(line.startswith("  the gate is BLOCKED, as it said ") for line in lines)
        assert any(line.startswith(f"  release {reason.state} {reason.code}") for line in lines)


ORDER = Override("o-1", OrderKind.ROLLBACK, RELEASE, 1, f"{HOSTILE} {RUNBOOK}", HOSTILE, "eve", NOW, NOW)
PUBLISHED = Released(RELEASE, 1, OrderKind.OPEN, NOW, "run-1")
ROLLED_BACK = replace(PUBLISHED, kind=OrderKind.ROLLBACK, override=ORDER)
DOUBTED = replace(PUBLISHED, problems=(f"not signed by {HOSTILE}", "the release differs"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("history", "first", "exit_code"),
    [
        ([], "nothing was ever promoted to production", 0),
        ([PUBLISHED, ROLLED_BACK], f"live in production: {RELEASE.name}", 0),
        ([PUBLISHED, DOUBTED], "live in production: NOT KNOWN, the last record", 2),
    ],
    ids=["nothing", "rollback", "not known"],
)
def test_releases_keep_to_the_width_whatever_an_order_says(width, history, first, exit_code):
    text = releases_text("production", history, width, last=50)
    assert too_wide_or_steering(text, width) == []
    assert text.startswith(first)
    assert releases_exit_code(history) == exit_code
    assert (RUNBOOK in text.split()) is (ROLLED_BACK in history)
    published = [line for line in text.splitlines() if line.startswith("  2")]  # what is further in continues an entry
    assert [line.split()[:2] for line in published] == [[iso(NOW), RELEASE.name]] * len(history)


def test_of_many_releases_the_newest_are_shown_and_programs_get_all():
    history = [replace(PUBLISHED, release=replace(RELEASE, name=f"r-{number}")) for number in range(1_000)]
    live, _, _, *shown = releases_text("production", history, 400, last=3).splitlines()
    assert live.startswith("live in production: r-999 ")
    assert [line.split()[1] for line in shown[:3]] == ["r-999", "r-998", "r-997"]
    assert shown[3:] == ["  and 997 earlier: --last 1000 shows them, --format json has all"]
    assert len(releases_json("production", history)["history"]) == 1_000


def test_the_command_shows_releases_in_the_columns_that_are_given(desk, monkeypatch, capsys):
    desk.promoted()
    for width in WIDTHS:
        monkeypatch.setenv("COLUMNS", str(width))
        code, out, _ = phase5(monkeypatch, capsys, "releases")
        assert (code, too_wide_or_steering(out.rstrip("\n"), width)) == (0, [])
        assert out.startswith(f"live in production: {RELEASE.name}")
