"""What a pipeline is told that runs again after its release was promoted, 0 only while that is live; and what can be aborted."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.commands.promote import RegistrationAnswer, RegistrationRequest, ask, wait
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import PROMOTED, Fate, promoted_pk
from phase5_ops.settings import load_settings
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, Signers
from phase5_ops_tests.gate.promotion.publications import TableInMemory

NEWER = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
HOUR = timedelta(hours=1)


@pytest.fixture
def table(signers: Signers) -> TableInMemory:
    """A release was promoted, and an hour later a newer one, which is live."""
    found = TableInMemory()
    found.promotes(signers, RELEASE, NOW)
    found.promotes(signers, NEWER, NOW + HOUR)
    return found


def run_again(
    table: TableInMemory, signers: Signers, release: Release, *, accept_break_glass: bool = False
) -> RegistrationAnswer:
    session = SimpleNamespace(state=table, keys=signers.keys(), now=NOW + 9 * HOUR)
    return wait(lambda: session, release, 1, timeout=0, tell=print, accept_break_glass=accept_break_glass)


def goes_back(table: TableInMemory, signers: Signers, release: Release, hours: int = 2) -> None:
    order = table.orders(OrderKind.ROLLBACK, release, NOW + hours * HOUR)
    table.takes_effect(signers, order, NOW + hours * HOUR)


def test_what_is_live_passes_with_its_attestation(table, signers):
    answer = run_again(table, signers, NEWER)
    assert (answer.exit_code, sorted(answer.attestation)) == (0, ["decision.dsse.json", "readiness.dsse.json"])


def test_a_release_that_was_replaced_by_a_newer_one_does_not_pass(table, signers):
    answer = run_again(table, signers, RELEASE)
    assert (answer.exit_code, answer.attestation) == (1, {})
    assert "no longer live, replaced at 2026-11-23T13:00:00.000Z: r-1.2.4 took its place" in answer.text
    assert "phase5 rollback r-1.2.3" in answer.text


def test_a_release_that_was_rolled_back_from_does_not_pass_and_the_one_that_was_gone_back_to_does(table, signers):
    goes_back(table, signers, RELEASE)
    answer = run_again(table, signers, NEWER)
    assert (answer.exit_code, answer.attestation) == (1, {})
    assert "rolled back from at 2026-11-23T14:00:00.000Z: r-1.2.3 took its place (rollback-6: orders are lost)" in answer.text
    assert run_again(table, signers, RELEASE).exit_code == 0
    goes_back(table, signers, NEWER, hours=3)
    assert [run_again(table, signers, each).exit_code for each in (RELEASE, NEWER)] == [1, 0]


def test_glass_that_was_broken_passes_only_while_it_is_live(table, signers):
    hotfix = replace(RELEASE, name="r-1.2.5", digest="sha256:" + "f" * 64)
    table.takes_effect(signers, table.orders(OrderKind.BREAK_GLASS, hotfix, NOW + 2 * HOUR), NOW + 2 * HOUR)
    table.candidates(hotfix, Fate.BREAK_GLASS, NOW)
    assert run_again(table, signers, hotfix, accept_break_glass=True).exit_code == 0
    assert run_again(table, signers, NEWER).exit_code == 1
    goes_back(table, signers, NEWER, hours=3)
    answer = run_again(table, signers, hotfix, accept_break_glass=True)
    assert (answer.exit_code, "rolled back from" in answer.text, "phase5 rollback" in answer.text) == (1, True, False)


@pytest.mark.parametrize("written", [{"promoted_at": "2026-11-23T14:00:00Z"}, {"promoted_at": 7}])
def test_where_a_later_record_cannot_be_trusted_nothing_is_known(table, signers, written):
    """A rollback whose record somebody wrote over may have been one."""
    order = table.orders(OrderKind.ROLLBACK, RELEASE, NOW + 2 * HOUR)
    table.put(*table.record_of(RELEASE, order), written)
    answer = run_again(table, signers, NEWER)
    assert (answer.exit_code, answer.attestation) == (2, {})
    assert "it is not known whether it is live still" in answer.text
    assert "NOT VERIFIED" in answer.text


def test_a_promotion_that_a_killed_run_left_without_a_note_passes_until_it_is_replaced(table, signers):
    del table.items[promoted_pk(NEWER.environment), f"{PROMOTED}{(NOW + HOUR).isoformat()}#{NEWER.name}#000001"]
    assert run_again(table, signers, NEWER).exit_code == 0
    goes_back(table, signers, RELEASE)
    assert run_again(table, signers, NEWER).exit_code == 1


@pytest.mark.parametrize("fate", list(Fate))
def test_an_abort_says_whether_there_is_something_to_abort(table, tmp_path, fate):
    table.candidates(NEWER, fate, NOW)
    posted = []
    asked = RegistrationRequest(NEWER.name, NEWER.digest, abort=True)
    settings = load_settings(environment=NEWER.environment, state_dir=tmp_path)
    answer, series = ask(settings, lambda *event: posted.append(event), table, asked)
    assert len(posted) == 1
    if fate in (Fate.PENDING, Fate.READY_TO_SIGN):
        assert (answer.exit_code, "to be aborted" in answer.text) == (0, True)
    else:
        assert (answer.exit_code, series) == (1, 1)
        assert f"series 1 {fate}; the candidate has ended, so there is nothing to abort" in answer.text
