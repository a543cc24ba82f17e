"""What is looser than shipped is named to those who sign; what nobody classified counts as looser."""

import pytest

from phase5_ops import loosened as module
from phase5_ops.loosened import loosened
from phase5_ops.policy import Policy
from phase5_ops.settings import Settings, load_settings


def changed(section: str, **values) -> Settings:
    settings = load_settings()
    policy = type(getattr(settings, section))(**values)
    return settings.model_copy(update={section: policy})


def test_nothing_is_loosened_as_shipped():
    assert loosened(load_settings()) == ()


@pytest.mark.parametrize(
    ("section", "values", "said"),
    [
        ("slo", {"error_rate_max": 0.05}, "slo.error_rate_max is 0.05, shipped 0.01"),
        ("slo", {"error_rate_max": 0.02, "latency_target": 0.95}, "slo.latency_target is 0.95, shipped 0.99"),
        ("slo", {"min_samples": 1}, "slo.min_samples is 1, shipped 30"),
        ("gate", {"extra_checks_warn_only": ("tool_slo_met",)}, "gate.extra_checks_warn_only is [tool_slo_met], shipped []"),
        ("logs", {"sample_share": 0.5}, "logs.sample_share is 0.5, shipped 1"),
    ],
)
def test_a_looser_threshold_is_named(section, values, said):
    assert any(line.startswith(said) for line in loosened(changed(section, **values)))


@pytest.mark.parametrize(
    ("section", "values"),
    [
        ("slo", {"error_rate_max": 0.005}),
        ("slo", {"latency_threshold_ms": 4000}),
        ("gate", {"warn_blocks": ("2.2",)}),
        ("gate", {"sign_off_days": 3}),
        ("isolation", {"iam_blocks": True}),
        ("probes", {"user_agent": "ours"}),
    ],
)
def test_a_stricter_threshold_or_a_name_is_not_listed(section, values):
    assert loosened(changed(section, **values)) == ()


def test_rare_tools_and_probes_that_are_off_are_named(monkeypatch):
    monkeypatch.setenv("PHASE5_TOOLS", '[{"name": "crm.write", "traffic": "rare"}]')
    monkeypatch.setenv("PHASE5_PROBE_MODE", "off")
    assert len(loosened(load_settings())) == 2


def test_every_classified_name_is_a_setting():
    settings = load_settings()
    sections = {name: getattr(settings, name) for name in Settings.model_fields}
    known = {
        f"{name}.{field}"
        for name, policy in sections.items()
        if isinstance(policy, Policy)
        for field in type(policy).model_fields
    }
    classified = module._LESS_IS_STRICTER | module._MORE_IS_STRICTER | module._NO_THRESHOLDS
    assert classified - known - set(sections) == set()
