"""What a run did not try is said from what is stored: declared codes and facts, silent checks, settings; nothing else."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from phase5_ops.build import CATALOGUE, NOT_TRIED_FACTS, WORDS, judged_checks
from phase5_ops.checklist import ROW_OF_CHECK, ROW_OF_ID
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.records import GateInputs
from phase5_ops.policy import DeployedPolicy, GatePolicy, LogScanPolicy
from phase5_ops.sections.isolation.logs import judge as log_judge
from phase5_ops.settings import Settings, load_settings
from phase5_ops.verdict import Finding, Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
BUDGET = "autonomy_budget_visible"


@pytest.fixture
def settings() -> Settings:
    """Nothing is left out by a setting."""
    plain = load_settings()
    bus = plain.isolation.model_copy(update={"event_log_group": "/aws/events/cc-native"})
    deployed = DeployedPolicy(must_be_candidate=True, digest_parameter="deployed")
    return plain.model_copy(update={"isolation": bus, "deployed": deployed})


def said(inputs: GateInputs, settings: Settings) -> tuple[str, ...]:
    return WORDS.not_tried(inputs, decide(inputs), settings)


def with_findings(row: str, *findings: Finding, policy: GatePolicy | None = None) -> GateInputs:
    inputs, check = complete_inputs(policy or GatePolicy(), NOW), ROW_OF_ID[row].check
    result = replace(
        inputs.results[check], findings=findings, verdict=max((f.verdict for f in findings), key=lambda v: v.severity)
    )
    return replace(inputs, results={**inputs.results, check: result})


def test_a_run_that_tried_everything_says_nothing(settings):
    assert said(complete_inputs(GatePolicy(), NOW), settings) == ()


def test_a_finding_whose_code_says_so_is_named_with_its_row(settings):
    found = Finding("reads_not_judged", Verdict.WARN, "data-access trail", "", "no location is set")
    assert said(with_findings("4.1", found), settings) == ("4.1 reads_not_judged: data-access trail: no location is set",)


def test_a_finding_of_another_kind_is_not(settings):
    assert said(with_findings("2.2", Finding("breaker_open", Verdict.WARN, "crm", "", "open")), settings) == ()


def test_many_findings_of_one_code_are_one_line(settings):
    found = [Finding("too_few_samples", Verdict.WARN, f"tool-{n}", "", "2 calls") for n in range(8)]
    (line,) = said(with_findings("1.1", *found), settings)
    assert line == "1.1 too_few_samples: tool-0, tool-1, tool-2, tool-3, tool-4 and 3 more"


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"approvals_of_unknown_account": 3}, ("5.1: 3 approvals could not be counted",)),
        ({"tables_not_deployed": "signals"}, ("5.1: tables that name accounts and are not deployed, so not read: signals",)),
        ({"approvals_of_unknown_account": 0, "tables_not_deployed": ""}, ()),
        ("forged", ()),
    ],
)
def test_a_fact_that_says_so_is_named(settings, facts, expected):
    inputs = complete_inputs(GatePolicy(), NOW)
    stored = replace(inputs.bundle.verdicts[BUDGET], entry={"facts": facts})
    bundle = replace(inputs.bundle, verdicts={**inputs.bundle.verdicts, BUDGET: stored})
    lines = said(replace(inputs, bundle=bundle), settings)
    assert len(lines) == len(expected)
    assert all(line.startswith(start) for line, start in zip(lines, expected, strict=True))


def test_a_check_that_only_shows_and_has_no_answer_is_named(settings):
    inputs = complete_inputs(GatePolicy(extra_checks_warn_only=("tool_slo_met",)), NOW)
    silent = replace(inputs, results={name: result for name, result in inputs.results.items() if name != "tool_slo_met"})
    assert said(silent, settings) == ("tool_slo_met: no answer (MISSING); the check only shows and does not block",)


def test_settings_that_leave_something_out_are_named():
    lines = said(complete_inputs(GatePolicy(), NOW), load_settings())
    assert [line.rsplit(": ", 1)[1] for line in lines] == [
        "deployed.must_be_candidate is off", "isolation.event_log_group is not set",
    ]  # fmt: skip


def test_every_code_means_it_wherever_it_is_used_and_every_fact_belongs_to_a_judged_check():
    for name, codes in CATALOGUE.by_name.items():
        assert {code.not_tried for code in codes} == {name in CATALOGUE.not_tried}
    assert NOT_TRIED_FACTS.keys() <= judged_checks() & ROW_OF_CHECK.keys()
    scanned = log_judge.judge_log_scan([], facts={}, reads=[], policy=LogScanPolicy())
    assert log_judge.NOT_TRIED_FACTS.keys() <= scanned.facts.keys()
