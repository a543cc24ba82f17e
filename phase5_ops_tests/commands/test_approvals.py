"""The commands of people: shown, asked, done once; each way it can end has its exit code."""

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.checklist import ROLES, ROW_OF_ID
from phase5_ops.cli import app as cli
from phase5_ops.commands import approvals as people_command
from phase5_ops.commands.approvals import end_of
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.approval.waive import WaiverRequest
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.records import Outcome
from phase5_ops.gate.session import Refused
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs, verified_waivers
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.gate.state.table import StateTable
from phase5_ops.policy import GatePolicy
from phase5_ops.report.release import shortened
from phase5_ops.settings import ConfigurationError
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, readiness_payload
from phase5_ops_tests.gate.people import Desk, complete_for_release
from phase5_ops_tests.report.test_release import complete, document

pytestmark = pytest.mark.slow

SIGN = ("sign-off", RELEASE.name, "--role", "ops-sre")
WAIVE = ("waive", "1.2", "--release", RELEASE.name, "--finding", "alarm_missing", "--role", "ops-sre", "--reason", "known")


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    desk = Desk.on(aws, tmp_path / "state")
    desk.seat("alice", monkeypatch)
    return desk


@pytest.fixture
def shown(monkeypatch):
    """What was to be shown in Dagster, without doing it."""
    seen: list[str] = []
    monkeypatch.setattr(people_command, "_show_in_dagster", lambda _settings, release: seen.append(release))
    return seen


def phase5(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["phase5", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr()
    return end.value.code, out.out, out.err


def waive(monkeypatch, capsys, *more, until=None):
    until = until or (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    return phase5(monkeypatch, capsys, *WAIVE, "--ticket", "OPS-1", "--until", until, *more)


def test_a_signature_is_shown_made_and_kept(desk, monkeypatch, capsys):
    desk.ready()
    desk.states()
    code, out, err = phase5(monkeypatch, capsys, *SIGN, "--show")
    assert (code, desk.open().state.sign_offs(RELEASE)) == (0, [])
    code, out, err = phase5(monkeypatch, capsys, *SIGN, "--yes")
    assert (code, err) == (0, "")
    assert RELEASE.digest in out
    assert "signed for ops-sre as alice" in out
    assert "still missing: eng-reliability, security-compliance" in out
    assert [off.identity for off in desk.open().state.sign_offs(RELEASE)] == ["alice"]


def test_signatures_that_people_made_open_the_gate_and_with_one_less_it_stays_closed(desk, shown):
    desk.ready()
    desk.states()
    for number, role in enumerate(ROLES):
        session = desk.person(f"person-{number}")
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
    stored, keys, payload = desk.open().state.sign_offs(RELEASE), desk.open().keys, readiness_payload()
    complete = replace(complete_for_release(), statement=facts_of(payload))
    for left_out in (None, *stored):
        kept = [each for each in stored if each is not left_out]
        decision = decide(replace(complete, sign_offs=verified_sign_offs(kept, [payload], keys)))
        assert decision.outcome == (Outcome.READY_TO_SIGN if left_out else Outcome.OPEN)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.mark.parametrize("after", [False, True], ids=["before the signature is recorded", "after it is"])
def test_a_sign_off_that_is_killed_is_there_once_or_not_at_all(desk, shown, monkeypatch, capsys, after):
    desk.ready()
    desk.states()
    record = StateTable.add_sign_off

    def killed(self, *arguments):
        if after:
            record(self, *arguments)
        raise Killed

    monkeypatch.setattr(StateTable, "add_sign_off", killed)
    with pytest.raises(Killed):
        people_command.run_sign_off(desk.settings, RELEASE.name, "ops-sre", lambda _: True)
    monkeypatch.setattr(StateTable, "add_sign_off", record)
    assert len(desk.open().state.sign_offs(RELEASE)) == (1 if after else 0)
    for _ in range(2):
        assert people_command.run_sign_off(desk.settings, RELEASE.name, "ops-sre", lambda _: True) == 0
    assert len(desk.open().state.sign_offs(RELEASE)) == 1
    assert shown == [RELEASE.name] * 2
    assert "ops-sre has signed already" in capsys.readouterr().out


@pytest.mark.parametrize("after", [False, True], ids=["before the waiver is recorded", "after it is"])
def test_a_waiver_that_is_killed_is_there_once_or_not_at_all(desk, monkeypatch, after):
    desk.ready(fate=Fate.PENDING)
    desk.states()
    monkeypatch.setattr(people_command, "_findings", lambda *_: (Finding("alarm_missing", Verdict.FAIL, "a", "", ""),))
    record = StateTable.add_waiver

    def killed(self, *arguments):
        if after:
            record(self, *arguments)
        raise Killed

    monkeypatch.setattr(StateTable, "add_waiver", killed)
    request = WaiverRequest("1.2", ("alarm_missing",), "ops-sre", "known", "OPS-1", datetime.now(UTC) + timedelta(days=1))
    with pytest.raises(Killed):
        people_command.run_waive(desk.settings, RELEASE.name, request, lambda _: True)
    assert len(desk.open().state.waivers(RELEASE)) == (1 if after else 0)


def test_the_same_person_is_refused_another_role(desk, shown, monkeypatch, capsys):
    desk.ready()
    desk.states()
    assert phase5(monkeypatch, capsys, *SIGN, "--yes")[0] == 0
    code, _, err = phase5(monkeypatch, capsys, "sign-off", RELEASE.name, "--role", "security-compliance", "--yes")
    assert (code, shown) == (1, [RELEASE.name])
    assert "alice has signed for ops-sre already" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sign-off", RELEASE.name, "--role", "boss", "--yes"), "--role boss: no such role; the roles are eng-reliability"),
        (("sign-off", RELEASE.name, "--role", "OPS_SRE", "--yes"), "--role OPS_SRE: no such role; did you mean ops-sre?"),
        (("sign-off", "../x", "--role", "ops-sre", "--yes"), "not a release name"),
        (SIGN, "give --yes"),
        (("sign-off", RELEASE.name), "--role"),
    ],
)
def test_usage_errors_exit_with_three(desk, monkeypatch, capsys, arguments, said):
    desk.ready()
    desk.states()
    code, _, err = phase5(monkeypatch, capsys, *arguments)
    assert code == 3
    assert said in err


def test_a_fixed_clock_is_a_usage_error_for_both_commands(desk, monkeypatch, capsys):
    desk.ready()
    desk.states()
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    for code, _, err in (phase5(monkeypatch, capsys, *SIGN, "--yes"), waive(monkeypatch, capsys, "--yes")):
        assert code == 3
        assert "PHASE5_NOW fixes the clock" in err


def test_an_unreadable_table_is_no_refusal_and_a_broken_keys_file_a_configuration_error(desk, monkeypatch, capsys, aws_faults):
    desk.ready()
    desk.states()
    aws_faults.add("denied", service="dynamodb")
    assert phase5(monkeypatch, capsys, *SIGN, "--yes")[0] == 2
    aws_faults.clear()
    assert phase5(monkeypatch, capsys, "sign-off", "no-such", "--role", "ops-sre", "--yes")[0] == 1
    desk.settings.state_dir.mkdir(exist_ok=True)
    (desk.settings.state_dir / "keys.json").write_text("{}")
    assert phase5(monkeypatch, capsys, *SIGN, "--yes")[0] == 3


def test_a_person_who_says_no_signs_nothing(desk, shown):
    desk.ready()
    desk.states()
    asked = []
    assert people_command.run_sign_off(desk.settings, RELEASE.name, "ops-sre", lambda text: bool(asked.append(text))) == 1
    assert asked == ["Sign this for ops-sre as alice?"]
    assert desk.open().state.sign_offs(RELEASE) == []


def test_what_changed_while_the_person_read_is_not_signed(desk, shown, capsys):
    candidate = desk.ready()
    desk.states()

    def meanwhile(_question: str) -> bool:
        state: StateTable = desk.open().state
        state.set_fate(candidate, Fate.REJECTED, "late")
        _, second = state.register(Candidate(RELEASE, 1, Fate.PENDING, datetime.now(UTC), datetime.now(UTC), "p"))
        frozen = state.statement(RELEASE, 1)
        payload = readiness_payload(not_tried=("x",))
        state.freeze_statement(RELEASE, 2, payload, frozen.gate_signature, frozen.gate_key_id)
        state.set_fate(second, Fate.READY_TO_SIGN)
        return True

    assert people_command.run_sign_off(desk.settings, RELEASE.name, "ops-sre", meanwhile) == 1
    assert desk.open().state.sign_offs(RELEASE) == []


def test_a_waiver_is_shown_made_and_kept(desk, monkeypatch, capsys):
    desk.ready(fate=Fate.PENDING)
    desk.states()
    found = (Finding("alarm_missing", Verdict.FAIL, "tool\x1b[2J", "", ""),)
    monkeypatch.setattr(people_command, "_findings", lambda *_: found)
    earlier = {("1.2", ("alarm_missing", "tool\x1b[2J"))}
    for day, name in enumerate(("r-1", "r-2")):
        desk.open().state.note_promotion(replace(RELEASE, name=name), 1, NOW + timedelta(days=day), earlier)
    code, out, err = waive(monkeypatch, capsys, "--yes")
    assert (code, err) == (0, "")
    assert "waived for the 3rd release in a row" in out
    (kept,) = desk.open().state.waivers(RELEASE)
    assert (kept.waiver.identity, kept.waiver.pairs) == ("alice", {("alarm_missing", "tool\x1b[2J")})
    assert waive(monkeypatch, capsys, "--yes", until="2020-01-01")[0] == 1


def test_an_extra_check_is_waived_by_its_name_and_then_opens(desk, monkeypatch, capsys):
    missed = Finding("latency_slo_missed", Verdict.FAIL, "crm.write", "", "")
    desk.ready(fate=Fate.PENDING)
    desk.states()
    monkeypatch.setattr(people_command, "_findings", lambda _document, row: (missed,) if row.id == "tool_slo_met" else ())
    until = (datetime.now(UTC) + timedelta(days=3)).date().isoformat()
    options = ("--finding", missed.code, "--role", "ops-sre", "--reason", "known", "--ticket", "OPS-1", "--until", until, "--yes")
    code, out, _ = phase5(monkeypatch, capsys, "waive", "tool_slo_met", "--release", RELEASE.name, *options)
    assert code == 0
    assert "row tool_slo_met Tool SLO met" in out
    session, complete = desk.open(), complete_inputs(GatePolicy(), datetime.now(UTC))
    failing = {"verdict": Verdict.FAIL, "findings": (missed,)}
    results = {**complete.results, "tool_slo_met": replace(complete.results["tool_slo_met"], passed=False, **failing)}
    verdicts = {**complete.bundle.verdicts, "tool_slo_met": replace(complete.bundle.verdicts["tool_slo_met"], **failing)}
    inputs = replace(complete, results=results, bundle=replace(complete.bundle, verdicts=verdicts), statement=None, sign_offs=())
    waived = replace(
        inputs, waivers=verified_waivers(session.state.waivers(RELEASE), session.keys, environment=RELEASE.environment)
    )
    assert (decide(inputs).outcome, decide(waived).outcome) == (Outcome.BLOCKED, Outcome.READY_TO_SIGN)


def test_a_row_without_a_result_that_counts_is_not_waived(desk, monkeypatch, capsys):
    desk.ready(fate=Fate.PENDING)
    desk.states()
    code, _, err = waive(monkeypatch, capsys, "--yes")
    assert code == 1
    assert "has no result that counts, so nothing of it can be waived: MISSING" in err


def test_a_row_with_more_findings_than_the_gates_document_shows_is_not_waived():
    many = tuple(Finding("alarm_missing", Verdict.FAIL, f"tool-{n}", "an alarm", "none") for n in range(501))
    said = shortened(document(complete(found={"1.2": many})))
    with pytest.raises(Refused, match=r"row 1\.2 has 1 findings beside the 500"):
        people_command._findings(said, ROW_OF_ID["1.2"])


def test_the_end_of_a_waiver_is_a_day_or_a_moment():
    assert end_of("2026-12-31") == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert end_of("2026-12-31T10:00:00+02:00") == datetime(2026, 12, 31, 8, tzinfo=UTC)
    for text in ("tomorrow", "2026-12-31T10:00:00", ""):
        with pytest.raises(ConfigurationError, match="--until"):
            end_of(text)


def test_a_signature_that_dagster_cannot_show_still_stands(desk, monkeypatch, capsys):
    desk.ready()
    desk.states()
    broken = SimpleNamespace(run_sign_offs=lambda *_: 1 / 0)
    monkeypatch.setitem(sys.modules, "phase5_ops.commands.sign_offs", broken)
    code, _, err = phase5(monkeypatch, capsys, *SIGN, "--yes")
    assert code == 0
    assert "launch sign_off_job" in err
    assert len(desk.open().state.sign_offs(RELEASE)) == 1
