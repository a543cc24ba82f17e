"""What an environment names in a Dagster instance: its own where there are others, plain where it is alone, and from one room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from phase5_ops.build import build_defs
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import load_settings
from phase5_ops_tests.places import ROOT
from phase5_ops_tests.several_environments import NAMES, list_environments

SPARK = {"APPLICATION_ID": "00f1", "ROLE_ARN": "arn:aws:iam::222222222222:role/spark", "ENTRY_POINT": "s3://kept/job.py"}
#: The only modules that may make a key: the room itself, and the storage, which is Dagster's own.
ROOMS = {"orchestration/names_in_dagster.py", "orchestration/sqlite_storage.py"}
#: Calls that take the key or name of something that belongs to the instance.
NAMING = {
    "AssetSpec", "AssetIn", "AssetMaterialization", "AssetObservation", "AssetRecordsFilter", "AssetCheckKey", "AssetCheckSpec",
    "AssetCheckResult", "AssetCheckEvaluation", "DynamicPartitionsDefinition", "asset", "multi_asset", "assets",
    "get_latest_materialization_event", "fetch_materializations", "fetch_observations", "add_dynamic_partitions",
    "get_dynamic_partitions", "delete_dynamic_partition", "has_asset_key", "get_asset_records", "wipe_assets",
}  # fmt: skip
GIVEN_BY_NAME = {"asset", "asset_key", "key", "key_prefix", "name", "deps", "additional_deps", "ins", "pool", "group_name"}
#: Names in these calls that are no asset's: a check is called the same in every environment.
NOT_OF_THE_INSTANCE = {("AssetCheckSpec", "check"), ("AssetCheckResult", "check"), ("AssetCheckEvaluation", "check")}


def definitions(environment: str | None = None) -> dg.RepositoryDefinition:
    settings = load_settings(environment=environment) if environment else load_settings()
    return build_defs(settings=settings).get_repository_def()


def pools(repository: dg.RepositoryDefinition) -> set[str]:
    return {pool for node in repository.get_job("readiness_job").nodes for pool in node.definition.pools}


def partitions(repository: dg.RepositoryDefinition) -> set[str]:
    found = {node.partitions_def for node in repository.asset_graph.asset_nodes}
    return {each.name for each in found if isinstance(each, dg.DynamicPartitionsDefinition)}


def groups(repository: dg.RepositoryDefinition) -> set[str]:
    return {node.group_name for node in repository.asset_graph.asset_nodes}


@pytest.fixture
def everything(monkeypatch) -> None:
    """Settings under which every asset is there, those of the engines too."""
    monkeypatch.setenv("PHASE5_ENGINE__LOG_SCAN", "dagster")
    monkeypatch.setenv("PHASE5_ENGINE__PARTIALS", "s3://kept/partials")
    monkeypatch.setenv("PHASE5_ENGINE__LEDGER_EXPORTS", '["s3://kept/ledger/"]')
    for name, value in SPARK.items():
        monkeypatch.setenv(f"PHASE5_ENGINE__SPARK__{name}", value)


@pytest.mark.usefixtures("everything")
def test_of_a_list_every_name_that_the_instance_has_is_the_environments_own(monkeypatch, tmp_path):
    plain = definitions()
    list_environments(monkeypatch, tmp_path)
    for name in NAMES:
        found = definitions(name)
        graph = found.asset_graph
        assert {tuple(key.path) for key in graph.get_all_asset_keys()} == {
            (name, *key.path) for key in plain.asset_graph.get_all_asset_keys()
        }
        assert {key.asset_key.path[0] for key in graph.asset_check_keys} == {name}
        assert {parent.path[0] for node in graph.asset_nodes for parent in node.parent_keys} == {name}
        assert (partitions(found), pools(found)) == ({f"releases_{name}"}, {f"ccnative_{name}"})
        assert groups(found) == {f"{name.replace('-', '_')}__{group}" for group in groups(plain)}
        assert found.job_names == plain.job_names
        assert [each.name for each in found.sensor_defs] == [each.name for each in plain.sensor_defs]
        assert [each.name for each in found.schedule_defs] == [each.name for each in plain.schedule_defs]


def test_an_environment_that_is_alone_has_the_names_it_always_had(monkeypatch):
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "production-eu")
    found = definitions()
    keys = {key.to_user_string() for key in found.asset_graph.get_all_asset_keys()}
    assert {"slo_alarms", "cloudwatch/alarms", "readiness", "sign_offs", "promotion", "release_candidate"} <= keys
    assert not {key for key in keys if key.startswith("production-eu")}
    assert (partitions(found), pools(found)) == ({"releases"}, {"ccnative"})
    assert {"1_dashboards", "platform_sources", "shared_inputs", "release"} <= groups(found)
    assert DagsterNames().location == "phase5_ops"
    assert DagsterNames().step("sign_offs") == "sign_offs"


def test_the_step_of_an_asset_is_the_one_that_dagster_makes_of_its_key(monkeypatch, tmp_path):
    list_environments(monkeypatch, tmp_path)
    job = definitions("production-eu").get_job("sign_off_job")
    assert DagsterNames("production-eu").step("sign_offs") in {node.name for node in job.nodes}


def calls(path: Path) -> Iterator[tuple[int, str, ast.Call]]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield node.lineno, called, node


def plain_names(call: ast.Call, called: str) -> Iterator[str]:
    """What of a naming call is a bare text, or a constant of one, instead of a name of the room."""
    about = [*call.args[:1], *(each.value for each in call.keywords if each.arg in GIVEN_BY_NAME)]
    for given in about:
        for part in given.elts if isinstance(given, (ast.List, ast.Tuple)) else [given]:
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                yield repr(part.value)
            elif isinstance(part, (ast.Name, ast.Attribute)):
                name = part.id if isinstance(part, ast.Name) else part.attr
                if name.isupper() or (name in ("check", "name") and (called, name) not in NOT_OF_THE_INSTANCE):
                    yield name


def test_no_other_room_makes_a_key_or_names_what_the_instance_has():
    found = []
    for path in sorted((ROOT / "phase5_ops").rglob("*.py")):
        room = path.relative_to(ROOT / "phase5_ops").as_posix()
        if room in ROOMS:
            continue
        for line, called, call in calls(path):
            if called == "AssetKey":
                found.append(f"{room}:{line}: makes a key")
            elif called in NAMING:
                found += [f"{room}:{line}: {called} is given {name}" for name in plain_names(call, called)]
    assert found == []


@pytest.mark.parametrize(
    "code",
    ['dg.AssetSpec("readiness")', "dg.AssetSpec(READINESS_ASSET)", 'dg.asset(name="x")',
     "instance.add_dynamic_partitions(A.NAME, [x])",
     'dg.asset(deps=["readiness"])', "dg.AssetCheckEvaluation(asset_key=row.NAME)", 'dg.AssetSelection.assets("a")'],
)  # fmt: skip
def test_what_looks_for_such_names_finds_them(code):
    call = ast.parse(code).body[0].value
    called = call.func.attr
    assert called in NAMING
    assert list(plain_names(call, called))
