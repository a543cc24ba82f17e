"""Which environments are production is no matter of spelling: all but the sandbox and those that a setting lists."""

import pytest

from phase5_ops.settings import ConfigurationError, in_sandbox, is_production, load_settings

LOCAL = "http://127.0.0.1:5000"


NAMES = ["production", "prod", "Production", "PRD", "live", "staging", "dev", "test", "eu-1", "sandbox", "SANDBOX"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_production_by_default(monkeypatch, name):
    monkeypatch.setenv("PHASE5_ENVIRONMENT", name)
    assert is_production(load_settings())


@pytest.mark.parametrize(
    ("name", "endpoint", "sandbox"),
    [
        ("sandbox", LOCAL, True),
        ("sandbox", "http://localhost:5000", True),
        ("sandbox", "http://[::1]:5000", True),
        ("sandbox", "https://127.0.0.1.example.com", False),
        ("sandbox", "https://dynamodb.us-west-2.amazonaws.com", False),
        ("sandbox2", LOCAL, False),
        ("Sandbox", LOCAL, False),
        ("production", LOCAL, False),
    ],
)
def test_the_sandbox_alone_is_none_and_is_known_by_name_and_address_together(monkeypatch, name, endpoint, sandbox):
    monkeypatch.setenv("PHASE5_ENVIRONMENT", name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    settings = load_settings()
    assert (in_sandbox(settings), is_production(settings)) == (sandbox, not sandbox)


@pytest.mark.parametrize(
    ("name", "value", "sandbox"),
    [
        ("AWS_ENDPOINT_URL_DYNAMODB", "https://dynamodb.us-west-2.amazonaws.com", False),
        ("AWS_ENDPOINT_URL_KMS", "http://localhost:5000", True),
        ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", False),
    ],
)
def test_where_one_service_is_asked_elsewhere_it_is_no_sandbox(monkeypatch, name, value, sandbox):
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("AWS_ENDPOINT_URL", LOCAL)
    monkeypatch.setenv(name, value)
    assert in_sandbox(load_settings()) is sandbox


def test_an_environment_that_is_listed_is_none_and_only_as_it_is_written(monkeypatch):
    monkeypatch.setenv("PHASE5_NON_PRODUCTION_ENVIRONMENTS", '["staging"]')
    found = {}
    for name in ("staging", "Staging", "staging2", "production"):
        monkeypatch.setenv("PHASE5_ENVIRONMENT", name)
        found[name] = is_production(load_settings())
    assert found == {"staging": False, "Staging": True, "staging2": True, "production": True}


@pytest.mark.parametrize("value", ['["*"]', '["stag*"]', '[""]', '"staging"', "staging"])
def test_patterns_and_empty_names_are_no_environments(monkeypatch, value):
    monkeypatch.setenv("PHASE5_NON_PRODUCTION_ENVIRONMENTS", value)
    with pytest.raises(ConfigurationError, match="NON_PRODUCTION_ENVIRONMENTS"):
        load_settings()


def test_it_changes_the_policy_digest(monkeypatch):
    before = load_settings().policy_digest(checklist_version="1", account="1")
    monkeypatch.setenv("PHASE5_NON_PRODUCTION_ENVIRONMENTS", '["staging"]')
    assert load_settings().policy_digest(checklist_version="1", account="1") != before
