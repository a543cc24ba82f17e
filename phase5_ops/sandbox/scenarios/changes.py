"""Scenarios of changes_are_audited: configuration changed with no entry in the ledger, or with one that says too little."""

from datetime import timedelta

from phase5_ops.clock import iso
from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, INCONCLUSIVE, scenario
from phase5_ops.sandbox.state import autonomy
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.records import LEDGER, Item
from phase5_ops.verdict import Verdict

CHANGES = "changes_are_audited"


def _turned(code: str, verdict: Verdict = FAIL) -> dict[str, tuple[Verdict, str]]:
    return {CHANGES: (verdict, code)}


def _silently(state: Blueprint, item: Item) -> None:
    """The record was changed three days ago; the ledger does not know."""
    item["updated_at"] = iso(state.now - timedelta(days=3))


@scenario("change-of-mode-not-audited", "A mode was set without a ledger entry.", _turned("change_not_audited"))
def _change_of_mode_not_audited(state: Blueprint) -> None:
    _silently(state, autonomy.mode_of(state))


@scenario("change-of-allowlist-not-audited", "An allowlist was set without a ledger entry.", _turned("change_not_audited"))
def _change_of_allowlist_not_audited(state: Blueprint) -> None:
    _silently(state, autonomy.allowlist_of(state))


@scenario("change-of-budget-not-audited", "A budget was raised without a ledger entry.", _turned("change_not_audited"))
def _change_of_budget_not_audited(state: Blueprint) -> None:
    _silently(state, autonomy.config_of(state))


@scenario("change-of-kill-switches-not-audited", "Kill switches were set without an entry.", _turned("change_not_audited"))
def _change_of_kill_switches_not_audited(state: Blueprint) -> None:
    state.items[LEDGER].remove(autonomy.entry_of(state, autonomy.switches_of(state)))


@scenario(
    "change-just-now", "A mode was set a moment ago; its entry may still come.", _turned("change_not_audited", INCONCLUSIVE)
)
def _change_just_now(state: Blueprint) -> None:
    autonomy.mode_of(state)["updated_at"] = iso(state.now - timedelta(seconds=2))


@scenario("change-by-unknown", "A mode was set by `unknown`, as the platform's code does.", _turned("change_by_nobody"))
def _change_by_unknown(state: Blueprint) -> None:
    mode = autonomy.mode_of(state)
    autonomy.entry_of(state, mode)["data"]["changed_by"] = mode["updated_by"] = "unknown"


@scenario("change-by-system", "The entry of a changed budget names the system.", _turned("change_by_nobody"))
def _change_by_system(state: Blueprint) -> None:
    autonomy.entry_of(state, autonomy.config_of(state))["data"]["changed_by"] = "System"


@scenario("change-without-reason", "Nobody said why kill switches were set.", _turned("change_without_reason"))
def _change_without_reason(state: Blueprint) -> None:
    del autonomy.entry_of(state, autonomy.switches_of(state))["data"]["reason"]


@scenario("change-author-differs", "A mode names another person than its entry.", _turned("change_author_differs"))
def _change_author_differs(state: Blueprint) -> None:
    autonomy.mode_of(state)["updated_by"] = "lee.wong@example.com"


@scenario("change-entry-differs", "A budget's entry tells of a smaller cap.", _turned("change_entry_differs"))
def _change_entry_differs(state: Blueprint) -> None:
    autonomy.entry_of(state, autonomy.config_of(state))["data"]["max_autonomous_per_day"] = 2


@scenario("change-not-dated", "A budget does not say when it was set.", _turned("change_not_dated", INCONCLUSIVE))
def _change_not_dated(state: Blueprint) -> None:
    del autonomy.config_of(state)["updated_at"]


@scenario("change-entry-malformed", "The entry of a change holds no data.", _turned("change_record_malformed", ERROR))
def _change_entry_malformed(state: Blueprint) -> None:
    autonomy.entry_of(state, autonomy.mode_of(state))["data"] = "changed"


@scenario("change-ahead-of-the-clock", "A mode was set tomorrow.", _turned("change_record_malformed", ERROR))
def _change_ahead_of_the_clock(state: Blueprint) -> None:
    autonomy.mode_of(state)["updated_at"] = iso(state.now + timedelta(days=400))
