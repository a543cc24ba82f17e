"""What a run works with: until when its metrics are judged."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from phase5_ops.clock import Clock
from phase5_ops.context import open_run
from phase5_ops.settings import Settings, load_settings

TENANTS = {"PHASE5_PROBE_USERS__A__TENANT_ID": "phase5-canary-a", "PHASE5_PROBE_USERS__B__TENANT_ID": "phase5-canary-b"}


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Settings of a platform with test tenants, with changes."""

    def made(**changes: str) -> Settings:
        monkeypatch.setenv("AWS_REGION", "us-west-2")
        monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path))
        monkeypatch.setenv("PHASE5_CONTROL_CENTER_URL", "https://control.example.com")
        for name, value in {**TENANTS, **changes}.items():
            monkeypatch.setenv(name, value)
        return load_settings()

    return made


def test_the_metrics_of_a_run_with_canaries_end_before_the_first_of_them(settings, monkeypatch: pytest.MonkeyPatch):
    moments = iter([datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC), datetime(2026, 11, 23, 9, 18, 2, tzinfo=UTC)])
    monkeypatch.setattr(Clock, "now", lambda _: next(moments))
    assert open_run(settings(), "run").metrics_end == datetime(2026, 11, 23, 9, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes", [{"PHASE5_PROBE_MODE": "off"}, {"PHASE5_PROBE_MODE": "refusals"}, {"PHASE5_PROBE_USERS__B__TENANT_ID": ""}]
)
def test_the_metrics_of_a_run_without_canaries_are_judged_up_to_now(settings, changes: dict[str, str]):
    chosen = settings(PHASE5_NOW="2026-11-23T09:16:41Z", **changes)
    assert open_run(chosen, "run").metrics_end == datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC)
