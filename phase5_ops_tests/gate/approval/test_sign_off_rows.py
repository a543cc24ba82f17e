"""Rows S.1 to S.3: shown from the state table, FAIL until the role has signed, ERROR where nothing is known."""

import dagster as dg
import pytest

from phase5_ops.build import build_defs
from phase5_ops.checklist import ROLES, ROWS
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import SIGN_OFF_JOB
from phase5_ops.gate.approval.judge import judge_sign_off, sign_offs_table
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.defs.sign_off_assets import gather_sign_offs, sign_off_run_config
from phase5_ops.gate.reasons import SignOffReason
from phase5_ops.gate.signing.trusted_keys import keys_file
from phase5_ops.gate.state.items import Fate
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Tables
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, readiness_payload
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

FACTS = facts_of(readiness_payload())


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path)


def platform_of(desk, **changes):
    return open_run(desk.settings.model_copy(update={"now": NOW, **changes}), "run-1")


def judged(table):
    return {role: judge_sign_off(table, role=role) for role in ROLES}


def verdicts(table):
    return {role: str(judgement.verdict) for role, judgement in judged(table).items()}


@pytest.mark.parametrize("reason", [code for code in SignOffReason.all() if code is not SignOffReason.NO_RELEASE])
def test_every_reason_of_a_signature_closes_its_row_by_name(reason):
    read = Read("phase5:SignOffs", "r", ReadStatus.OK, None, 1, "", "")
    problems = dict.fromkeys(ROLES, ((reason, "why"),))
    table = sign_offs_table(RELEASE, FACTS, (), problems).with_reads([read], NOW)
    for judgement in judged(table).values():
        assert (judgement.verdict, [f.code for f in judgement.findings]) == (Verdict.FAIL, [reason.code])


def test_no_problem_without_a_signature_is_no_signature():
    table = sign_offs_table(RELEASE, FACTS, (), dict.fromkeys(ROLES, ()))
    assert not any(row.done for row in table.rows)


def test_signatures_show_as_they_are_made(desk):
    desk.ready()
    for number, role in enumerate(ROLES):
        table = gather_sign_offs(platform_of(desk), RELEASE.name)
        assert list(verdicts(table).values()) == ["PASS"] * number + ["FAIL"] * (3 - number)
        session = desk.person(f"person-{number}")
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
    table = gather_sign_offs(platform_of(desk), RELEASE.name)
    assert set(verdicts(table).values()) == {"PASS"}
    assert judged(table)["ops-sre"].facts == {"by": "person-1", "date": "2026-11-23T12:00:00.000Z", "release": RELEASE.name}


def test_without_a_release_or_a_statement_the_rows_fail_and_say_so(desk):
    for release in (None, RELEASE.name):
        found = judge_sign_off(gather_sign_offs(platform_of(desk), release), role="ops-sre")
        assert (found.verdict, found.findings[0].code) == (Verdict.FAIL, "no_release")
    candidate = desk.ready(fate=Fate.PENDING)
    desk.open().state.set_fate(candidate, Fate.REJECTED)
    desk.open().state.register(candidate)  # a new series, without a statement yet
    found = judge_sign_off(gather_sign_offs(platform_of(desk), RELEASE.name), role="ops-sre")
    assert (found.verdict, found.findings[0].code) == (Verdict.FAIL, "nothing_to_sign")


def test_what_cannot_be_read_is_an_error_and_not_a_missing_signature(desk):
    desk.ready()
    no_table = gather_sign_offs(platform_of(desk, tables=Tables(readiness="phase5-none")), RELEASE.name)
    keys_file(desk.settings).write_bytes(b"{}")
    for table in (no_table, gather_sign_offs(platform_of(desk), RELEASE.name)):
        assert set(verdicts(table).values()) == {"ERROR"}


def test_the_job_shows_the_rows_in_dagster_and_the_readiness_job_does_not_judge_them(desk):
    desk.ready()
    platform = platform_of(desk)
    definitions = build_defs(settings=platform.settings, run=platform)
    result = definitions.resolve_job_def(SIGN_OFF_JOB).execute_in_process(
        instance=dg.DagsterInstance.ephemeral(), run_config=sign_off_run_config(RELEASE.name, DagsterNames())
    )
    checks = {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}
    assert checks == {row.check: False for row in ROWS if row.is_sign_off}
    in_readiness = definitions.resolve_job_def("readiness_job").asset_layer
    assert "sign_offs" not in {key.to_user_string() for key in in_readiness.selected_asset_keys}
