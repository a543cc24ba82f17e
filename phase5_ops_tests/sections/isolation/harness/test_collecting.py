"""Row 4.1 against a running platform: it passes, leaves nothing behind also when killed, and says what it did not try."""

import time
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import pytest
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import EVIDENCE, evidence_for
from phase5_ops.context import open_run
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.request import HttpAnswer
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sections.isolation.harness import probe_matrix
from phase5_ops.sections.isolation.harness.collecting import collect_harness
from phase5_ops.sections.isolation.harness.evidence import AccessKind, Result
from phase5_ops.sections.isolation.harness.judge import judge_harness
from phase5_ops.sections.isolation.harness.probe_matrix import build_cross_plan
from phase5_ops.sections.isolation.harness.probe_routes import ROUTES
from phase5_ops.sections.isolation.harness.starting import start_harness
from phase5_ops.settings import Settings, is_production, load_settings
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.sections.isolation.harness.support import LARGE
from phase5_ops_tests.sections.isolation.harness.test_probe_plan import targets
from phase5_ops_tests.sections.replay.probes.few_probes import few_probes

pytestmark = pytest.mark.slow(40)

CHANGING = ("put_item", "update_item", "delete_item", "batch_write_item", "put_events")
#: Written by every run for good: the ledger, what the connector's breaker counts, and the counter of runs.
LASTING = ("cc-native-ledger", "cc-native-resilience")


@pytest.fixture(scope="module")
def healthy() -> Iterator[Sandbox]:
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


@pytest.fixture
def no_past(healthy: Sandbox) -> Iterator[None]:
    """The platform has no records of its past meanwhile, which take longer to read than everything else."""
    tables = dynamodb_backends[ACCOUNT][healthy.region].tables
    past = {name: dict(tables[name].items) for name in LARGE}
    for name in LARGE:
        tables[name].items.clear()
    yield
    for name in LARGE:
        tables[name].items.update(past[name])


@pytest.fixture
def few_requests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A few requests of two routes, one that reads and one that writes, for a test of what a run changes beside them."""
    monkeypatch.setattr(probe_matrix, "ROUTES", tuple(route for route in ROUTES if route.name in ("config", "write_config")))
    with few_probes():
        yield


def judged(settings: Settings, *, wall=time.time) -> tuple[Judgement, list]:
    platform = open_run(settings, str(uuid4()))
    table = collect_harness(platform, start_harness(platform, wall=wall))
    judgement = judge_harness(table, production=is_production(settings), links=platform.links)
    return judgement, table.rows


def everything(sandbox: Sandbox) -> dict[str, list[str]]:
    """Every item of every table that a run does not write to for good."""
    dynamodb = sandbox.session().client("dynamodb", endpoint_url=sandbox.endpoint)
    names = [name for name in dynamodb.list_tables()["TableNames"] if name not in LASTING]
    items = {name: dynamodb.scan(TableName=name)["Items"] for name in names}
    return {
        name: sorted(str(sorted(item.items())) for item in found if "RUNS#" not in str(item)) for name, found in items.items()
    }


def test_a_healthy_platform_passes_and_is_left_as_it_was(settings: Settings, healthy: Sandbox):
    with few_probes():
        judged(settings)  # the first run leaves what stays in the ledger
    before = everything(healthy)
    judgement, rows = judged(settings)
    assert judgement.verdict is Verdict.PASS, judgement.findings
    assert judgement.facts["keys_written"] >= 10
    assert judgement.facts["reads_judged"] >= 10
    assert judgement.facts["probes_refused"] == judgement.facts["probes"] > 1500
    assert "combinations" in judgement.facts["probe_cost"]
    assert everything(healthy) == before
    compared = [row for row in rows if row.kind is AccessKind.RUN and row.operation == "compared"]
    assert {"cc-native-ledger", "cc-native-cache"} <= {row.table for row in compared}
    assert any(row.kind is AccessKind.EXCEPTION for row in rows)


def later(hours: int) -> Callable[[], float]:
    """A wall clock on which every lease of an earlier run has expired."""
    return lambda: time.time() + 3600 * hours


class Killed(BaseException):
    """The process is gone: nothing that it would still do reaches the platform."""


@pytest.mark.usefixtures("no_past", "few_requests")
def test_a_run_killed_at_any_change_leaves_nothing_that_the_next_one_does_not_clean(
    settings: Settings, healthy: Sandbox, monkeypatch: pytest.MonkeyPatch
):
    judged(settings)
    before = everything(healthy)
    call, changes, limit = AwsReader.call, 0, 0

    def dying(self, service, operation, resource, **more):
        nonlocal changes
        if limit and changes >= limit:
            raise Killed
        answer = call(self, service, operation, resource, **more)
        changes += operation in CHANGING
        return answer

    monkeypatch.setattr(AwsReader, "call", dying)
    judged(settings)
    whole = changes
    assert whole > 12
    hours = 0
    for number, point in enumerate(range(4, whole, (whole - 4) // 5), start=1):
        changes, limit, hours = 0, point, number
        with pytest.raises(Killed):
            judged(settings, wall=later(hours))
        assert healthy.platform.executor.wait_idle()
    limit = 0
    judgement, _ = judged(settings, wall=later(hours + 1))
    assert judgement.verdict is Verdict.PASS, judgement.findings
    assert everything(healthy) == before


@pytest.mark.usefixtures("no_past")
@pytest.mark.parametrize("mode", ["off", "refusals"])
def test_what_a_probe_mode_keeps_from_being_tried_is_said(settings: Settings, healthy: Sandbox, mode):
    before = everything(healthy)
    judgement, rows = judged(settings.model_copy(update={"probe_mode": mode}))
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert "canary_not_executed" in {finding.code for finding in judgement.findings}
    probes = [row for row in rows if row.kind is AccessKind.PROBE]
    tried = {row.key for row in probes if "probe_not_tried" not in row.codes}
    assert tried == {probe.name for probe in build_cross_plan(targets()) if mode == "refusals" and probe.harmless}
    assert everything(healthy) == before


@pytest.mark.usefixtures("no_past")
def test_a_refusal_counts_only_where_the_callers_own_data_comes_through(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    nothing = HttpAnswer(HTTPStatus.NOT_FOUND, None, "", "{}", 1.0)
    monkeypatch.setattr(HttpClient, "send", lambda self, request: nothing)
    monkeypatch.setattr("phase5_ops.probing.identity.KeySetClient.signing_key", lambda *_: {})
    judgement, rows = judged(settings)
    assert judgement.verdict is Verdict.INCONCLUSIVE
    assert {code for row in rows if row.kind is AccessKind.PROBE for code in row.codes} == {"probe_not_answered"}


def test_the_canary_starts_after_the_replay_probes_and_is_collected_before_them():
    order = {evidence.name: evidence.priority for evidence in EVIDENCE}
    assert order["replay_probes_sent"] > order["isolation_canary_started"] > 0
    assert 0 > order["isolation_harness"] > order["replay_probe"]
    assert evidence_for({"4.1"}) == {"isolation_canary_started", "isolation_harness"}


def test_every_detector_is_shown_a_violation_although_nothing_was_probed(settings: Settings):
    _, rows = judged(settings.model_copy(update={"probe_mode": "off"}))
    assert {row.result for row in rows if row.kind is AccessKind.CONTROL} == {Result.DETECTED}
