"""What is looser than shipped is named to those who sign; what nobody classified counts as looser."""

import pytest

from phase5_ops.gate.approval.disclosures import fields_of, loosened
from phase5_ops.policy import SloPolicy, Stricter
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


def test_every_setting_is_classified_once():
    said = {name: [way for way in field.metadata if isinstance(way, Stricter)] for name, _, field in fields_of(load_settings())}
    assert {name for name, found in said.items() if len(found) != 1} == set()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NON_PRODUCTION_ENVIRONMENTS", '["staging"]', "non_production_environments is [staging], shipped []"),
        ("PROBES__SETTLE_SECONDS", "0", "probes.settle_seconds is 0.0, shipped 10"),
        ("TABLES__LEDGER", "other-ledger", "tables.ledger is other-ledger, shipped cc-native-ledger"),
        ("TABLES__READINESS", "other", "tables.readiness is other, shipped phase5-readiness"),
        ("METRICS_NAMESPACE", "Other", "metrics_namespace is Other, shipped CCNative/Execution"),
        ("EVENT_BUS", "other", "event_bus is other, shipped cc-native-events"),
        ("RUNBOOK_POLICY__ALARM_ANCHOR", "top", "runbook_policy.alarm_anchor is top, shipped slo-alarms"),
        ("RUNBOOK_POLICY__BREAKER_ANCHOR", "top", "runbook_policy.breaker_anchor is top, shipped circuit-breaker-open"),
        ("ISOLATION__IAM_TEMPLATE", "narrow.yaml", "isolation.iam_template is narrow.yaml, shipped None"),
        ("ISOLATION__TABLE_PREFIX", "x-", "isolation.table_prefix is x-, shipped cc-native-"),
        ("SIGNING__TRUSTED_ROLES", '["123456789012/any-*"]', "signing.trusted_roles is [123456789012/any-*], shipped []"),
        ("COSTS__TENANT_TAG", "other", "costs.tenant_tag is other, shipped tenant"),
    ],
)
def test_what_is_asked_elsewhere_or_by_other_names_is_named_too(monkeypatch, name, value, said):
    monkeypatch.setenv(f"PHASE5_{name}", value)
    (line,) = loosened(load_settings())
    assert line.startswith(said)


def test_a_setting_that_nobody_classified_is_listed_wherever_it_differs(monkeypatch):
    monkeypatch.setattr(SloPolicy.model_fields["error_rate_max"], "metadata", [])
    assert loosened(changed("slo", error_rate_max=0.005)) == ("slo.error_rate_max is 0.005, shipped 0.01",)
