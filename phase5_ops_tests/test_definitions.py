"""The code location as Dagster loads it: of one environment `defs`, of a list an attribute for each."""

import importlib
import sys
from types import ModuleType

import dagster as dg
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.workspace.autodiscovery import loadable_targets_from_python_module
from dagster._core.workspace.load import load_workspace_process_context_from_yaml_paths

from phase5_ops.commands.workspace import state_folder_of, workspace_text, write_workspace
from phase5_ops.settings import ConfigurationError
from phase5_ops_tests.several_environments import ENVIRONMENTS, NAMES, list_environments

MODULE = "phase5_ops.definitions"


@pytest.fixture
def fresh(monkeypatch) -> None:
    """The module is imported anew, as in a process that serves a location."""
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.delattr("phase5_ops.definitions", raising=False)
    yield
    sys.modules.pop(MODULE, None)


def module() -> ModuleType:
    return importlib.import_module(MODULE)


def keys(target: object) -> set[str]:
    assert isinstance(target, dg.Definitions)
    return {key.path[0] for key in target.get_repository_def().asset_graph.get_all_asset_keys()}


@pytest.mark.usefixtures("fresh")
def test_without_a_list_dagster_finds_the_one_environment_without_being_told_its_name():
    (target,) = loadable_targets_from_python_module(MODULE, None)
    assert (target.attribute, "readiness" in keys(target.target_definition)) == ("defs", True)
    assert not hasattr(module(), "staging")


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("name", NAMES)
def test_of_a_list_the_pointer_of_a_run_gives_the_environment_of_its_location_each_time(monkeypatch, tmp_path, name):
    list_environments(monkeypatch, tmp_path)
    found = ModuleCodePointer(MODULE, name, None).load_target()
    assert keys(found) == {name}
    assert ModuleCodePointer(MODULE, name, None).load_target() is found


@pytest.mark.usefixtures("fresh")
def test_of_a_list_nothing_is_found_without_a_name_unless_the_variable_names_it(monkeypatch, tmp_path):
    list_environments(monkeypatch, tmp_path)
    with pytest.raises(ConfigurationError, match="set PHASE5_ENVIRONMENT to one of"):
        loadable_targets_from_python_module(MODULE, None)
    with pytest.raises(ConfigurationError, match=f"no environment production in the list .*: it has {', '.join(NAMES)}"):
        ModuleCodePointer(MODULE, "production", None).load_target()
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "staging")
    (target,) = loadable_targets_from_python_module(MODULE, None)
    assert keys(target.target_definition) == {"staging"}


def test_the_workspace_has_a_location_for_each_environment_and_says_who_wrote_it(tmp_path):
    path = write_workspace(tmp_path, NAMES)
    assert path.read_text() == workspace_text(NAMES)
    assert path.read_text().startswith("# ")
    found = [each["python_module"] for each in yaml.safe_load(path.read_text())["load_from"]]
    assert found == [{"module_name": MODULE, "attribute": name, "location_name": name} for name in NAMES]


@pytest.mark.slow(30)
@pytest.mark.filterwarnings("ignore:Error loading repository location")
def test_an_environment_whose_settings_are_refused_takes_no_other_with_it(monkeypatch, tmp_path):
    bad = {**ENVIRONMENTS[0], "schedule": {"hour": 30}}
    list_environments(monkeypatch, tmp_path, (bad, ENVIRONMENTS[2]))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    path = write_workspace(tmp_path, (NAMES[0], NAMES[2]))
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        load_workspace_process_context_from_yaml_paths(instance, [str(path)]) as served,
    ):
        entries = served.create_request_context().get_code_location_entries()
        said = entries[NAMES[0]].load_error.to_string()
        assert f"schedule.hour of PHASE5_CONFIG={tmp_path}/environments.yaml, entry {NAMES[0]}: " in said
        repository = entries[NAMES[2]].code_location.get_repository("__repository__")
        assert {key.path[0] for key in repository.asset_graph.get_all_asset_keys()} == {NAMES[2]}


def test_who_serves_them_is_told_of_each_that_cannot_be_served(monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_REGION", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    bad = {**ENVIRONMENTS[0], "schedule": {"hour": 30}}
    without_region = {"environment": "nowhere"}
    list_environments(monkeypatch, tmp_path, (bad, without_region, ENVIRONMENTS[2]))
    told: list[str] = []
    assert state_folder_of((NAMES[0], "nowhere", NAMES[2]), told.append) == tmp_path / "state"
    assert [line.split(" ", 1)[0] for line in told] == [NAMES[0], "nowhere"]
    with pytest.raises(ConfigurationError, match="none of the environments"):
        state_folder_of((NAMES[0],), told.append)
    monkeypatch.setenv("PHASE5_ENVIRONMENT", NAMES[2])
    with pytest.raises(ConfigurationError, match="PHASE5_ENVIRONMENT: would hold for every environment"):
        state_folder_of((NAMES[2],), told.append)
