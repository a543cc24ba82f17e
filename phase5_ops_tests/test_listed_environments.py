"""Settings of an environment of a list: chosen by name, with places and names of their own, and else as always."""

from pathlib import Path

import pytest

from phase5_ops.probing.iam import statements
from phase5_ops.settings import ConfigurationError, listed_environments, load_served_settings, load_settings
from phase5_ops_tests.several_environments import ENVIRONMENTS, NAMES, list_environments


@pytest.fixture(autouse=True)
def a_list(monkeypatch, tmp_path) -> Path:
    return list_environments(monkeypatch, tmp_path)


def test_the_variable_chooses_an_entry_and_further_variables_override_it(monkeypatch):
    assert listed_environments() == NAMES
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "production-eu")
    monkeypatch.setenv("PHASE5_AWS__REGION", "eu-west-1")
    settings = load_settings()
    assert (settings.environment, settings.aws.region) == ("production-eu", "eu-west-1")
    assert settings.aws.role_arn == ENVIRONMENTS[0]["aws"]["role_arn"]


def test_what_the_command_line_names_goes_before_the_variable(monkeypatch):
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "production-eu")
    assert load_settings(environment="staging").aws.region == "us-west-2"


@pytest.mark.parametrize("name", [None, "production"])
def test_no_environment_is_taken_by_default(monkeypatch, name):
    if name is not None:
        monkeypatch.setenv("PHASE5_ENVIRONMENT", name)
    with pytest.raises(ConfigurationError, match=f"set PHASE5_ENVIRONMENT to one of {', '.join(NAMES)}"):
        load_settings()


def test_a_setting_that_is_refused_is_named_with_its_entry(monkeypatch, tmp_path):
    bad = {**ENVIRONMENTS[0], "slo": {"min_sample": 3}, "schedule": {"hour": 30}}
    list_environments(monkeypatch, tmp_path, (bad, *ENVIRONMENTS[1:]))
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment="production-eu")
    assert "slo.min_sample of PHASE5_CONFIG=" in str(caught.value)
    assert str(caught.value).count("environments.yaml, entry production-eu: ") == 2
    assert load_settings(environment="staging").environment == "staging"  # which has nothing to do with it


def test_each_has_a_folder_a_lease_and_histories_of_its_own_and_the_instance_is_one():
    found = [load_settings(environment=name) for name in NAMES]
    assert len({each.state_dir for each in found}) == 1
    assert [each.own_folder for each in found] == [found[0].state_dir / "environments" / name for name in NAMES]
    assert [each.partials_folder.parent for each in found] == [each.own_folder for each in found]
    assert len({each.probes_partition for each in found}) == len(NAMES)
    moved = found[0].with_own_credentials.model_copy(update={"state_dir": Path("/elsewhere")})
    assert moved.own_folder == Path("/elsewhere/environments/production-eu")


def test_a_policy_lets_probes_write_their_own_environments_partition_alone():
    tenants = {"a": {"tenant_id": "phase5-canary-a"}, "b": {"tenant_id": "phase5-canary-b"}}
    for name in NAMES:
        (found,) = (
            each for each in statements(load_settings(environment=name, probe_users=tenants)) if each["Sid"] == "ProbeLease"
        )
        assert found["Condition"]["ForAllValues:StringLike"] == {"dynamodb:LeadingKeys": [f"PROBES#{name}"]}


def test_without_a_list_nothing_is_named_otherwise(monkeypatch, tmp_path):
    single = tmp_path / "phase5.yaml"
    single.write_text("environment: production-eu\n")
    monkeypatch.setenv("PHASE5_CONFIG", str(single))
    settings = load_settings()
    assert (settings.shares_instance, settings.own_folder, settings.probes_partition) == (False, settings.state_dir, "PROBES")
    assert listed_environments() is None


def test_verdicts_do_not_depend_on_whether_the_same_settings_stand_in_a_list(monkeypatch, tmp_path):
    in_list = load_settings(environment="staging").policy_digest(checklist_version="1", account="1")
    single = tmp_path / "phase5.yaml"
    single.write_text("{environment: staging, non_production_environments: [staging]}")
    monkeypatch.setenv("PHASE5_CONFIG", str(single))
    assert load_settings().policy_digest(checklist_version="1", account="1") == in_list


@pytest.mark.parametrize("name", ["PHASE5_ENVIRONMENT", "PHASE5_CONTROL_CENTER_URL", "PHASE5_AWS__ROLE_ARN"])
def test_where_all_are_served_together_a_variable_of_one_is_refused(monkeypatch, name):
    monkeypatch.setenv("PHASE5_DAGSTER_URL", "https://dagster.example")
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    assert str(load_served_settings("staging").dagster_url) == "https://dagster.example/"
    monkeypatch.setenv(name, "staging")
    with pytest.raises(ConfigurationError, match=f"{name}: would hold for every environment"):
        load_served_settings("staging")


def test_only_an_environment_of_a_list_is_served_by_name(monkeypatch):
    monkeypatch.delenv("PHASE5_CONFIG")
    with pytest.raises(ConfigurationError, match="names no list of environments"):
        load_served_settings("staging")
