"""Rows 3.1 and 3.3 in whole runs through Dagster: order, secrets, leftovers, lease, and refusals mode."""

from pathlib import Path
from uuid import uuid4

import pandas as pd
import pytest

from phase5_ops.build import EVIDENCE, evidence_for
from phase5_ops.commands.readiness import run_readiness
from phase5_ops.context import open_run
from phase5_ops.probing.canary import put
from phase5_ops.probing.canary_intent import CanaryPlace, intent_item, is_ours, new_intent_id
from phase5_ops.probing.kept_token import FILE_NAME
from phase5_ops.probing.redact import Redactor
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sections.replay.probes.collecting import collect_probes
from phase5_ops.sections.replay.probes.sending import send_probes
from phase5_ops.settings import Settings, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW

pytestmark = pytest.mark.slow

TABLES = ("cc-native-action-intent", "cc-native-execution-attempts", "cc-native-execution-outcomes", "cc-native-internal-notes")
TEST_PARTITIONS = ("TENANT#phase5-canary-a", "TENANT#phase5-canary-b")


@pytest.fixture(scope="module")
def healthy():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as running:
            yield running


@pytest.fixture
def settings(healthy: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    for name, value in healthy.exports().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PHASE5_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PHASE5_PROBES__RUNS_PER_HOUR", "1000")
    return load_settings()


def left_in_tables(sandbox: Sandbox) -> list[str]:
    """Sort keys of everything under the test tenants' accounts."""
    dynamodb = sandbox.session().client("dynamodb", endpoint_url=sandbox.endpoint)
    items = [item for table in TABLES for item in dynamodb.scan(TableName=table)["Items"]]
    return [item["sk"]["S"] for item in items if item["pk"]["S"].startswith(TEST_PARTITIONS)]


def test_no_token_and_no_password_is_in_anything_that_a_run_stores(settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog):
    secrets: set[str] = set()
    add = Redactor.add
    monkeypatch.setattr(Redactor, "add", lambda self, *values: (secrets.update(values), add(self, *values))[1])
    with caplog.at_level("DEBUG", logger="phase5_ops"):
        document = run_readiness(settings, ["3.1", "3.3"])
    assert {row.id: row.verdict for row in document.rows if row.id in ("3.1", "3.3")} == {
        "3.1": Verdict.PASS,
        "3.3": Verdict.PASS,
    }
    parts = {part for secret in secrets for part in (secret, *secret.split(".")) if len(part) >= 16}
    assert len(parts) > 20
    texts = [caplog.text]
    for path in settings.state_dir.rglob("*"):
        if path.is_file() and path.name != FILE_NAME:
            content = pd.read_parquet(path) if path.suffix == ".parquet" else None
            texts.append(path.read_bytes().decode("latin-1") if content is None else f"{content.to_csv()}{content.attrs}")
    assert not [part for part in parts if any(part in text for text in texts)]
    assert (settings.state_dir / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_run_removes_what_it_made_and_what_killed_runs_left_and_nothing_else(settings: Settings, healthy: Sandbox):
    platform = open_run(settings, str(uuid4()))
    place = CanaryPlace("phase5-canary-a", "canary-a-1")
    leftover = new_intent_id()
    put(platform.reader, settings.tables, [intent_item(place, leftover, run_id="killed", action_type="X", now=platform.now())])
    table = collect_probes(platform, send_probes(platform))
    assert not table.facts.obstacles
    assert not [key for key in left_in_tables(healthy) if "phase5" in key or key.startswith("NOTE#")]
    own = next(row for row in table.rows if row.name == "own_replay")
    dynamodb = healthy.session().client("dynamodb", endpoint_url=healthy.endpoint)
    ledger = dynamodb.get_paginator("scan").paginate(TableName="cc-native-ledger").build_full_result()
    assert sum(own.intent in str(item) for item in ledger["Items"]) >= 4  # nothing is ever deleted there


def test_the_lease_is_given_back_so_that_the_next_run_can_probe_at_once(settings: Settings):
    for _ in range(2):
        platform = open_run(settings, str(uuid4()))
        table = collect_probes(platform, send_probes(platform))
        assert not table.facts.obstacles


def test_refusals_mode_starts_nothing_and_still_shows_that_the_api_is_alive(settings: Settings):
    platform = open_run(settings.model_copy(update={"probe_mode": "refusals"}), str(uuid4()))
    rows = {row.name: row for row in collect_probes(platform, send_probes(platform)).rows}
    assert not [row.name for row in rows.values() if row.left_behind]
    assert rows["own_replay"].not_tried is not None
    assert rows["missing_intent"].status == 404
    assert rows["no_token"].status == 401


def test_only_canary_intents_can_be_removed(settings: Settings):
    from phase5_ops.probing.canary import remove

    assert is_ours(new_intent_id())
    assert not any(is_ours(name) for name in ("ai_1795424359123_x7k2", "ai_phase5", "phase5", "ai_12_xphase5"))
    platform = open_run(settings, "run-1")
    with pytest.raises(ValueError, match="not a canary"):
        remove(platform.reader, settings.tables, [(CanaryPlace("acme", "acme-1"), "ai_1795424359123_x7k2")], [])
    assert not platform.reader.meter.calls


def test_probes_are_sent_first_and_collected_last():
    order = {evidence.name: evidence.priority for evidence in EVIDENCE if not evidence.name.startswith("deployed_identity")}
    assert max(order, key=order.__getitem__) == "replay_probes_sent"
    assert sorted(order, key=order.__getitem__)[:2] == ["execution_outcomes", "replay_probe"]  # the first reads nothing itself
    assert evidence_for({"3.1"}) == evidence_for({"3.3"}) == {"replay_probes_sent", "replay_probe"}
