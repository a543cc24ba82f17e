"""Settings: names, values, precedence, the clock, and the policy digest."""

import os
from datetime import UTC, datetime, timedelta, timezone

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.settings import ConfigurationError, Settings, known_variables, load_settings

MOMENT = datetime(2026, 11, 23, 9, 16, 41, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith("PHASE5_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(monkeypatch, tmp_path):
    """Writes the settings file and names it."""

    def write(content):
        path = tmp_path / "phase5.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
        monkeypatch.setenv("PHASE5_CONFIG", str(path))

    return write


def test_defaults_are_the_platforms_names():
    settings = load_settings()
    assert settings.tables.resilience == "cc-native-resilience"
    assert settings.metrics_namespace == "CCNative/Execution"
    assert str(settings.state_dir) == ".phase5"
    assert settings.now is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("PHASE5_ENVIROMENT", "PHASE5_ENVIRONMENT"),
        ("PHASE5_TABLES__LEDGERS", "PHASE5_TABLES__LEDGER"),
        ("phase5_environment", "PHASE5_ENVIRONMENT"),
        ("PHASE5_PROBES", "PHASE5_PROBE"),
        ("PHASE5_QQQQQQQQQQQQQQQ", "docs/settings.md"),
    ],
)
def test_an_unknown_name_is_refused_with_its_remedy(monkeypatch, name, hint):
    monkeypatch.setenv(name, "x")
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert name in str(error.value)
    assert hint in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHASE5_ENVIRONMENT", "a b"),
        ("PHASE5_TABLES__LEDGER", "x"),
        ("PHASE5_CONTROL_CENTER_URL", "not a url"),
        ("PHASE5_PROBE_MODE", "sometimes"),
        ("PHASE5_SLO__LATENCY_TARGET", "1"),
        ("PHASE5_SLO__ERROR_RATE_MAX", "nan"),
        ("PHASE5_SLO__LATENCY_THRESHOLD_MS", "inf"),
        ("PHASE5_BREAKERS__COOLDOWN_SECONDS", "0"),
        ("PHASE5_SCHEDULE__HOUR", "24"),
        ("PHASE5_SCHEDULE__TIMEZONE", "Mars/Base"),
        ("PHASE5_READING__DEADLINE_SECONDS", "0"),
        ("PHASE5_EVIDENCE_S3_URI", "https://bucket"),
        ("PHASE5_DAGSTER_URL", "https://user:secret@dagster.internal"),
        ("PHASE5_DAGSTER_URL", "https://dagster.internal/?token=secret"),
    ],
)
def test_a_bad_value_names_its_variable(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        load_settings()


@pytest.mark.parametrize("name", ["PHASE5_CONNECTORS", "PHASE5_TOOLS"])
def test_a_list_that_is_no_json_names_its_variable(monkeypatch, name):
    monkeypatch.setenv(name, "internal,crm")
    with pytest.raises(ConfigurationError, match=f"{name}: not valid JSON"):
        load_settings()


def test_a_burn_factor_that_cannot_be_reached_is_refused(monkeypatch):
    monkeypatch.setenv("PHASE5_SLO__LATENCY_TARGET", "0.9")
    with pytest.raises(ConfigurationError, match=r"burn factor 14.4 cannot be reached"):
        load_settings()


def test_a_wrong_password_is_not_in_the_message(monkeypatch):
    monkeypatch.setenv("PHASE5_PROBE_USERS__A", '{"password": ["hunter2"]}')
    with pytest.raises(ConfigurationError) as error:
        load_settings()
    assert "hunter2" not in str(error.value)


def test_command_line_over_environment_over_file_over_defaults(monkeypatch, config):
    config({"environment": "file", "event_bus": "file", "runbook": "file", "slo": {"min_samples": 5, "lookback_hours": 12}})
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "env")
    monkeypatch.setenv("PHASE5_EVENT_BUS", "env")
    monkeypatch.setenv("PHASE5_SLO__MIN_SAMPLES", "7")
    settings = load_settings(environment="line", event_bus=None)
    assert (settings.environment, settings.event_bus, settings.runbook) == ("line", "env", "file")
    assert (settings.slo.min_samples, settings.slo.lookback_hours, settings.slo.min_window_samples) == (7, 12, 10)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"enviroment": "x"}, "enviroment of PHASE5_CONFIG=.*; did you mean environment?"),
        ({"slo": {"min_sample": 1}}, "slo.min_sample of PHASE5_CONFIG=.*; did you mean min_samples?"),
        ({"slo": 3}, "slo of PHASE5_CONFIG=.*: needs a mapping"),
        ({1: 2}, "PHASE5_CONFIG"),
        ("- a\n- b\n", "PHASE5_CONFIG"),
        ("a: [", "PHASE5_CONFIG"),
        ("now: 2026-11-23T09:16:41\n", "now of PHASE5_CONFIG=.*: needs a time zone"),
    ],
)
def test_a_bad_file_is_refused_by_name(config, content, named):
    config(content)
    with pytest.raises(ConfigurationError, match=named):
        load_settings()


def test_an_empty_file_and_an_empty_name_mean_the_defaults(config, monkeypatch):
    config("")
    assert load_settings().environment == "production"
    monkeypatch.setenv("PHASE5_CONFIG", "")
    assert load_settings().environment == "production"


def test_a_file_that_is_not_there_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("PHASE5_CONFIG", str(tmp_path / "none.yaml"))
    with pytest.raises(ConfigurationError, match=r"none\.yaml"):
        load_settings()


@pytest.mark.parametrize(
    "value", ["2026-11-23T09:16:41Z", "2026-11-23T09:16:41.000Z", "2026-11-23T10:16:41+01:00", "2026-11-23 09:16:41+00:00"]
)
def test_now_is_a_moment_with_a_zone(monkeypatch, value):
    monkeypatch.setenv("PHASE5_NOW", value)
    settings = load_settings()
    assert settings.now == MOMENT
    assert settings.now.tzinfo is UTC
    assert settings.clock.now() == MOMENT


@pytest.mark.parametrize("value", ["2026-11-23T09:16:41", "2026-11-23", "1795424359", "-1", "1795424359.5", "1e9", "now", "nan"])
def test_now_without_a_zone_or_as_a_number_is_refused(monkeypatch, value):
    monkeypatch.setenv("PHASE5_NOW", value)
    with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
        load_settings()


def test_an_empty_now_is_the_wall_clock(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", " ")
    assert load_settings().now is None
    assert abs(load_settings().clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


@given(
    st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)),
    st.integers(-14 * 60, 14 * 60),
)
def test_now_in_any_zone_is_the_same_moment_in_utc(moment, minutes):
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert Settings(now=aware.isoformat()).now == aware


def test_the_names_of_the_documents_are_known():
    names = known_variables()
    for name in (
        "PHASE5_ENVIRONMENT",
        "PHASE5_CONTROL_CENTER_URL",
        "PHASE5_TABLES__DECISION_BUDGET",
        "PHASE5_USER_POOL_ID",
        "PHASE5_USER_POOL_CLIENT_ID",
        "PHASE5_PROBE_MODE",
        "PHASE5_PROBE_USERS__A__TENANT_ID",
        "PHASE5_PROBE_USERS__B__SECRET_ID",
        "PHASE5_STATE_DIR",
        "PHASE5_NOW",
        "PHASE5_CONFIG",
        "PHASE5_BREAKERS__COOLDOWN_SECONDS",
    ):
        assert name in names


def digest(**overrides):
    return load_settings(**overrides).policy_digest(checklist_version="1", account="123456789012")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHASE5_ENVIRONMENT", "staging"),
        ("PHASE5_TABLES__RESILIENCE", "another-table"),
        ("PHASE5_METRICS_NAMESPACE", "Other"),
        ("PHASE5_RUNBOOK", "other.md"),
        ("PHASE5_CONNECTORS", '["erp"]'),
        ("PHASE5_TOOLS", '[{"name": "erp.post", "traffic": "rare"}]'),
        ("PHASE5_SLO__MIN_SAMPLES", "1"),
        ("PHASE5_ALARMS__WINDOW_MAX_SECONDS", "1000"),
        ("PHASE5_BREAKERS__MAX_REOPENINGS", "4"),
        ("PHASE5_RUNBOOK_POLICY__BREAKER_ANCHOR", "other"),
        ("PHASE5_GATE__WARN_BLOCKS", '["2.2"]'),
        ("PHASE5_PROBE_MODE", "off"),
        ("PHASE5_PROBES__SETTLE_SECONDS", "1"),
        ("PHASE5_PROBES__OTHER_CLIENT_ID", "another"),
        ("PHASE5_PROBE_USERS__A__TENANT_ID", "probe-a"),
        ("PHASE5_READING__DEADLINE_SECONDS", "60"),
    ],
)
def test_every_setting_that_can_change_a_verdict_changes_the_digest(monkeypatch, name, value):
    before = digest()
    monkeypatch.setenv(name, value)
    assert digest() != before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHASE5_STATE_DIR", "/tmp/elsewhere"),
        ("PHASE5_NOW", "2026-11-23T09:16:41Z"),
        ("PHASE5_SCHEDULE__HOUR", "7"),
        ("PHASE5_EVIDENCE_S3_URI", "s3://bucket/prefix"),
        ("PHASE5_PROBE_USERS__A__PASSWORD", "hunter2"),
        ("PHASE5_PROBES__EXPIRED_TOKEN_FILE", "/tmp/token"),
    ],
)
def test_settings_that_change_no_verdict_leave_the_digest(monkeypatch, name, value):
    before = digest()
    monkeypatch.setenv(name, value)
    assert digest() == before


def test_checklist_version_and_account_are_part_of_the_digest():
    settings = load_settings()
    digests = {settings.policy_digest(checklist_version=v, account=a) for v in ("1", "2") for a in ("a", "b")}
    assert len(digests) == 4
    assert all(value.startswith("sha256:") for value in digests)


def test_the_digest_does_not_depend_on_where_a_value_came_from(monkeypatch, config):
    config({"slo": {"min_samples": 7}})
    from_file = digest()
    monkeypatch.delenv("PHASE5_CONFIG")
    monkeypatch.setenv("PHASE5_SLO__MIN_SAMPLES", "7")
    assert digest() == from_file


def test_secrets_are_not_dumped(monkeypatch):
    monkeypatch.setenv("PHASE5_PROBE_USERS__A__PASSWORD", "hunter2")
    settings = load_settings()
    assert "hunter2" not in str(settings.verdict_settings())
    assert "hunter2" not in repr(settings)


def test_the_probe_tenants_are_the_canaries(monkeypatch):
    monkeypatch.setenv("PHASE5_PROBE_USERS__A__TENANT_ID", "probe-a")
    assert load_settings().canary_tenants == {"probe-a"}


@pytest.mark.parametrize(
    "url",
    ["http://control.example.com", "https://user:secret@control.example.com", "https://control.example.com/?tenant=a", "ftp://x"],
)
def test_tokens_are_not_sent_over_an_address_that_could_show_them(monkeypatch, url):
    monkeypatch.setenv("PHASE5_CONTROL_CENTER_URL", url)
    with pytest.raises(ConfigurationError, match="PHASE5_CONTROL_CENTER_URL") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://control.example.com/prod", "http://127.0.0.1:8080", "http://[::1]:8080", "http://localhost"]
)
def test_the_control_center_is_reached_over_https_or_on_this_machine(monkeypatch, url):
    monkeypatch.setenv("PHASE5_CONTROL_CENTER_URL", url)
    assert str(load_settings().control_center_url).startswith(url)


def test_the_two_test_tenants_must_differ(monkeypatch):
    monkeypatch.setenv("PHASE5_PROBE_USERS__A__TENANT_ID", "phase5-canary-a")
    monkeypatch.setenv("PHASE5_PROBE_USERS__B__TENANT_ID", "phase5-canary-a")
    with pytest.raises(ConfigurationError, match="PHASE5_PROBE_USERS"):
        load_settings()


def test_a_lease_must_outlast_the_probes_it_protects(monkeypatch):
    monkeypatch.setenv("PHASE5_PROBES__LEASE_SECONDS", "100")
    with pytest.raises(ConfigurationError, match="lease_seconds must be longer"):
        load_settings()


def test_a_value_that_is_no_text_is_refused(monkeypatch, config):
    monkeypatch.setenv("PHASE5_GATE__WARN_BLOCKS", '["\\ud800"]')
    with pytest.raises(ConfigurationError, match=r"variable holds '.ud800', which is no text"):
        load_settings()
    monkeypatch.delenv("PHASE5_GATE__WARN_BLOCKS")
    config('gate: {warn_blocks: ["\\ud800"]}\n')
    with pytest.raises(ConfigurationError, match=r"phase5\.yaml or a PHASE5_ variable holds"):
        load_settings()
