"""The example of a list: what the guide says of it holds once each place is filled in."""

import re
from pathlib import Path

import pytest
import yaml

from phase5_ops.commands.workspace import workspace_text
from phase5_ops.context import open_run
from phase5_ops.gate.signing.trusted_keys import keys_file
from phase5_ops.settings import listed_environments, load_served_settings, load_settings
from phase5_ops_tests.places import ROOT

GUIDE = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch, tmp_path) -> tuple[str, ...]:
    path = tmp_path / "environments.yaml"
    text = (ROOT / "deploy" / "environments.yaml").read_text(encoding="utf-8")
    path.write_text(re.sub(r"<[\w-]*>(?=[\"':])|(?<=[_/: ])<([\w-]+)>", lambda found: found[1] or "", text), encoding="utf-8")
    monkeypatch.setenv("PHASE5_CONFIG", str(path))
    return listed_environments()


def test_the_example_lists_three_environments_in_accounts_of_their_own_and_the_workspace_serves_them(example):
    found = [load_served_settings(name) for name in example]
    assert [(each.environment, each.aws.region) for each in found] == [
        ("production-us", "us-west-2"),
        ("production-eu", "eu-central-1"),
        ("staging", "us-west-2"),
    ]
    assert len({each.aws.role_arn.split(":")[4] for each in found}) == len(example)
    assert len({each.evidence_s3_uri for each in found}) == len({each.control_center_url for each in found}) == len(example)
    assert all(each.sends_canaries for each in found)
    workspace = (ROOT / "deploy" / "workspace-of-environments.yaml").read_text(encoding="utf-8")
    assert workspace == workspace_text(example)


def test_a_place_of_the_example_that_was_left_is_refused(monkeypatch):
    monkeypatch.setenv("PHASE5_CONFIG", str(ROOT / "deploy" / "environments.yaml"))
    with pytest.raises(Exception, match=r"evidence_s3_uri of PHASE5_CONFIG=.*, entry staging"):
        load_served_settings("staging")


def test_the_short_list_of_the_guide_is_one(monkeypatch, tmp_path):
    (block,) = re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    path = tmp_path / "environments.yaml"
    path.write_text(block)
    monkeypatch.setenv("PHASE5_CONFIG", str(path))
    assert listed_environments() == tuple(each["environment"] for each in yaml.safe_load(block))


def test_what_the_guide_moves_is_all_that_an_environment_keeps_in_its_folder(monkeypatch, tmp_path):
    """Each place is asked of the code that writes there, so that a new one is not forgotten when a folder is moved."""
    (moved,) = re.findall(r"for each in ([^;]+); do", GUIDE)
    path = tmp_path / "environments.yaml"
    path.write_text("- environment: production\n")
    monkeypatch.setenv("PHASE5_CONFIG", str(path))
    settings = load_settings(environment="production", state_dir=tmp_path)
    pattern = re.compile(r"own_folder(?:\.expanduser\(\)(?:\.resolve\(\))?)? / (\"\w[\w.]*\"|'\w+'|[\w.]+)")
    written = {name for each in sorted((ROOT / "phase5_ops").rglob("*.py")) for name in pattern.findall(each.read_text())}
    constants = {"FILE_NAME": keys_file(settings).name, "kept_token.FILE_NAME": "probe_tokens.json"}
    constants |= {"CACHE_FOLDER": "costs", "LEDGER_HISTORY": "ledger_history.sqlite"}
    found = {constants.get(name, name.strip("\"'")) for name in written}
    assert found | {"keys.pinned", "ledger_history.sqlite"} == set(moved.split())
    run = open_run(settings, "x")
    assert Path(run.store.run_folder("x")).is_relative_to(settings.own_folder)
