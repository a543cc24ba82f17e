"""`phase5 explain`: rows and codes, what was meant, and what it needs: neither Dagster nor AWS."""

import subprocess
import sys

import pytest
from rich.cells import cell_len

from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.commands.explain import explained
from phase5_ops.report.findings import stored_explanations
from phase5_ops.settings import ConfigurationError


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_code_says_meaning_remedy_rows_and_the_runbooks_section(monkeypatch):
    monkeypatch.setenv("PHASE5_RUNBOOK_URL", "https://example.com/runbook.md")
    (code,) = stored_explanations().catalogue.by_name["breaker_open"]
    said = words(explained("breaker_open", 80))
    assert said.startswith(f"breaker_open (WARN) meaning {code.meaning} remedy {code.remedy}")
    assert "found in 2.1, 2.2 runbook https://example.com/runbook.md#circuit-breaker-open" in said


@pytest.mark.parametrize("name", ["1.2", "slo_alarms_defined"])
def test_a_row_is_had_by_id_and_by_check_with_its_owner_evidence_and_codes(name: str):
    said = words(explained(name, 100))
    assert said.startswith(
        "1.2 Alarms defined (slo_alarms_defined) section Dashboards & Alarms passes if Every tool has a latency alarm"
    )
    for part in (
        "owner eng-reliability",
        "evidence slo_alarms: ",
        "at most 72 h old",
        "latency_alarm_missing (FAIL)",
        "#slo-alarms-",
    ):
        assert part in said
    assert "breaker_open" not in said
    assert "what any row may find: read_failed" in said


def test_rows_and_codes_are_explained_within_the_width():
    names = [row.id for row in ALL_CHECKS] + list(stored_explanations().catalogue.by_name)[::15]
    for name in names:
        lines = explained(name, 60).splitlines()
        assert all(cell_len(line) <= 60 or ".md" in line or "://" in line for line in lines), name


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("breakr_open", "did you mean breaker_open?"),
        ("slo_alarm_defined", "did you mean slo_alarms_defined?"),
        ("1.9", "docs/findings.md lists the codes"),
        ("\x1b[2J", r"no row or finding code \\x1b\[2J"),
    ],
)
def test_what_is_not_known_is_refused_with_what_was_meant(name: str, hint: str):
    with pytest.raises(ConfigurationError, match=hint):
        explained(name, 80)


def test_wrong_settings_hide_only_the_runbooks_section(monkeypatch):
    monkeypatch.setenv("PHASE5_RUNBOK", "x")
    said = words(explained("2.1", 80))
    assert "runbook not known: unknown setting PHASE5_RUNBOK" in said
    assert "owner eng-reliability" in said


@pytest.mark.parametrize(
    "run",
    [
        "from phase5_ops.commands.explain import explained; explained('1.2', 80); explained('breaker_open', 80)",
        "from phase5_ops.cli import completion as c; assert c.codes('breaker_op') and c.scenarios('healthy')",
    ],
)
def test_neither_explaining_nor_completing_loads_a_heavy_package(run: str):
    check = "import sys; loaded = {'dagster', 'pandas', 'numpy', 'boto3', 'botocore', 'moto', 'matplotlib'} & sys.modules.keys()"
    subprocess.run(
        [sys.executable, "-c", f"{run}\n{check}\nsys.exit(f'loaded: {{loaded}}' if loaded else 0)"], check=True, timeout=60
    )
