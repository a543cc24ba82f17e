"""Readiness runs under faults, and what must hold of each of them and of a fault-free run afterwards.

Runs come in groups: a sandbox of its own, some runs under faults one after the other with what each left behind, and then a run
without faults. Most runs are made without Dagster (`without_dagster.recorded`: gathered, judged, sealed and recorded by the
product's own code), every tenth as `phase5 check` makes them.
"""

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.checklist import ALL_CHECKS
from phase5_ops.commands.readiness import NotAsked, run_readiness
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.state.run_records import RunRecords
from phase5_ops.probing.lease import ProbesPartition
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ConfigurationError, Settings, load_settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.faults.injection import Plan, injected
from phase5_ops_tests.faults.proxy import proxy
from phase5_ops_tests.without_dagster import recorded
from phase5_ops_tests.without_sockets import over_sockets

JUDGED = tuple(row.id for row in ALL_CHECKS if not row.is_sign_off)
#: One or two of each row, so that no row is judged only where it passes.
FAILING = (
    "success-metric-missing", "dashboard-missing", "latency-alarm-missing", "alarm-topic-unsubscribed", "alarm-muted",
    "alarm-firing", "runbook-section-empty", "breaker-open-under-traffic", "breaker-state-invalid",
    "audit-not-finished", "audit-tenant-mismatch", "replay-any-token-accepted", "replay-refused-but-recorded",
    "replay-kill-switch-ignored", "replay-tenant-from-body", "isolation-note-in-other-partition",
    "isolation-foreign-budget-readable", "isolation-foreign-config-writable", "isolation-event-names-other",
    "role-unscoped-blocks", "log-foreign-tenant-in-message", "budget-overspent", "autonomy-without-budget",
    "cost-unknown-tenant", "cost-tenant-missing",
)  # fmt: skip
#: On a platform that records what it refuses, the row and code by which a run tells what an earlier one could not look for.
LATE = {"replay-refused-but-recorded": ("3.3", "refused_probe_acted_on_later")}
#: Shortened, so that a run waits for little; what they bound is the same.
SETTINGS = {
    "PHASE5_READING__CONNECT_TIMEOUT_SECONDS": "0.2",
    "PHASE5_READING__READ_TIMEOUT_SECONDS": "0.2",
    "PHASE5_READING__MAX_ATTEMPTS": "2",
    "PHASE5_READING__DEADLINE_SECONDS": "30",
    "PHASE5_PROBES__REQUEST_TIMEOUT_SECONDS": "1",
    "PHASE5_PROBES__SETTLE_SECONDS": "0",
    "PHASE5_PROBES__SEND_SECONDS": "10",
    "PHASE5_PROBES__FOLLOW_SECONDS": "2",
    "PHASE5_ISOLATION__OUTCOME_SECONDS": "2",
    "PHASE5_ISOLATION__PROBE_SECONDS": "10",
    "PHASE5_BUDGET__NAMING_SECONDS": "5",
    "PHASE5_BUDGET__SETTLE_SECONDS": "0",
}
#: Of a run without faults: a busy machine is none.
PATIENT = {
    "PHASE5_READING__READ_TIMEOUT_SECONDS": "60",
    "PHASE5_READING__DEADLINE_SECONDS": "600",
    "PHASE5_PROBES__REQUEST_TIMEOUT_SECONDS": "30",
    "PHASE5_PROBES__SEND_SECONDS": "300",
    "PHASE5_PROBES__FOLLOW_SECONDS": "60",
    "PHASE5_ISOLATION__OUTCOME_SECONDS": "60",
    "PHASE5_ISOLATION__PROBE_SECONDS": "300",
    "PHASE5_BUDGET__NAMING_SECONDS": "60",
}
#: Of requests that a whole run makes, for choosing when credentials expire.
_REQUESTS = 400
GROUP = 10  # runs under faults


def bound(settings: Settings) -> float:
    """The longest that a run may take, in seconds, by its settings.

    All reading ends with its deadline. Sending probes, following their work and waiting for effects have times of their own, and
    do not use that up. Giving back what is still held and writing the record have a reader, and so a deadline, of their own. Then
    half a minute for computing.
    """
    probes, isolation = settings.probes, settings.isolation
    waits = probes.send_seconds + probes.settle_seconds + probes.follow_seconds + isolation.outcome_seconds
    return 3 * settings.reading.deadline_seconds + waits + isolation.probe_seconds + isolation.trail_wait_seconds + 30


@dataclass
class Outcome:
    """What runs came to."""

    runs: int = 0
    whole: int = 0
    by_dagster: int = 0
    refused: int = 0
    struck: int = 0
    clean: int = 0
    requests: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    bound: float = 0.0
    problems: list[str] = field(default_factory=list)


Verdicts = dict[str, Verdict]


@dataclass(frozen=True)
class Expected:
    """What a run without faults comes to: its verdicts, and what it leaves on the platform."""

    verdicts: Verdicts
    left: tuple[str, ...]


@contextmanager
def sandbox_in(scenario: str) -> Iterator[tuple[Sandbox, pytest.MonkeyPatch]]:
    """A sandbox of its own with a new state folder, to which the environment points."""
    with pytest.MonkeyPatch.context() as patch, TemporaryDirectory(prefix="phase5-faults-") as folder:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox(scenario) as sandbox:
            for name, value in {**sandbox.exports(), **SETTINGS, "PHASE5_STATE_DIR": str(Path(folder) / "state")}.items():
                patch.setenv(name, value)
            yield sandbox, patch


@cache
def fault_free(scenario: str, rows: tuple[str, ...]) -> Expected:
    """A run without faults on a sandbox of its own."""
    with sandbox_in(scenario) as (sandbox, _):
        before = kept_items(sandbox)
        verdicts = _verdicts(_without_faults(rows))
        return Expected(verdicts, tuple(changed_items(before, kept_items(sandbox))))


def _without_faults(rows: tuple[str, ...]) -> ReadinessDocument:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in PATIENT.items():
            patch.setenv(name, value)
        return recorded(load_settings(), rows)


def _verdicts(document: ReadinessDocument) -> Verdicts:
    return {entry.id: entry.verdict for entry in (*document.rows, *document.extra_checks) if entry.id in JUDGED}


def chosen(seed: int, number: int) -> tuple[str, tuple[str, ...]]:
    """The scenario and the rows of a group: all rows now and then, else those that the scenario turns and one or two others."""
    random = Random(f"{seed}/{number}")
    scenario = "healthy" if random.random() < 0.3 else random.choice(FAILING)
    turned = [row for row in JUDGED if row in named(scenario).turns]
    some = {*turned, *random.sample(JUDGED, 1 if turned else 2)}
    every = random.random() < (0.05 if turned else 0.15)
    return scenario, JUDGED if every else tuple(row for row in JUDGED if row in some)


def group(
    seed: int, number: int, outcome: Outcome, say: Callable[[str], None], *, size: int = GROUP, sockets: bool = False
) -> None:
    """Some runs under faults, and one without; what does not hold is noted with the seed that has it again.

    With `sockets` the code reaches the sandbox over connections, through `proxy`.
    """
    scenario, rows = chosen(seed, number)
    without = fault_free(scenario, rows)
    expected = without.verdicts
    with sandbox_in(scenario) as (sandbox, _):
        before = kept_items(sandbox)
        late_row, late_code = LATE.get(scenario, ("", ""))
        looked = True  # every run so far, for what its refused probes left
        for each in range(size):
            name = f"{seed}/{number}/{each}"
            plan = Plan.drawn(name, _REQUESTS if rows == JUDGED else 80)
            by_dagster = (number * size + each) % 10 == 9
            about = f"--seed {seed} --group {number}, run {each} of {scenario}, rows {' '.join(rows)}: {plan}"
            outcome.runs += 1
            outcome.whole += rows == JUDGED
            outcome.by_dagster += by_dagster
            began = time.monotonic()
            with _through_proxies(plan, sandbox) if sockets else injected(plan):
                found = _run(rows, outcome, about, by_dagster=by_dagster)
            seconds = time.monotonic() - began
            looked = looked and found.get(late_row) == expected.get(late_row)
            outcome.longest, outcome.bound = max(outcome.longest, seconds), bound(load_settings())
            outcome.requests += plan.requests
            outcome.struck += bool(plan.injected)
            outcome.injected.update({str(kind): count for kind, count in plan.injected.items()})
            if seconds > outcome.bound:
                outcome.problems.append(f"{about}: took {seconds:.1f} s, bound {outcome.bound:g} s")
            for row, verdict in found.items():
                if verdict is not expected[row]:
                    outcome.changes[f"{expected[row]} -> {verdict}"] += 1
                if opens_wrongly(expected[row], verdict):
                    outcome.problems.append(f"{about}: row {row} is {verdict}, without faults {expected[row]}")
            outcome.problems += [f"{about}: {problem}" for problem in contradictions()]
            say(f"run {name} {scenario}: {sum(plan.injected.values())} of {plan.requests} requests struck, {seconds:.1f} s")
        _time_passes(sandbox)
        outcome.clean += 1
        about = f"--seed {seed} --group {number}, the run without faults after {size} of {scenario}, rows {' '.join(rows)}"
        document = _without_faults(rows)
        outcome.problems += [
            f"{about}: row {entry.id} is {entry.verdict}, without faults before {expected[entry.id]}: "
            + "; ".join(f"{each.code} {each.subject}" for each in entry.findings)[:300]
            for entry in (*document.rows, *document.extra_checks)
            if entry.id in expected
            and entry.verdict is not expected[entry.id]
            and (looked or (entry.id, {finding.code for finding in entry.findings}) != (late_row, {late_code}))
        ]
        outcome.problems += [f"{about}: {problem}" for problem in contradictions()]
        if left := set(changed_items(before, kept_items(sandbox))) - set(without.left):
            outcome.problems.append(f"{about}: left on the platform: {sorted(left)}")


def opens_wrongly(expected: Verdict, found: Verdict) -> bool:
    """Whether a row opens, or loses a warning, that would not without faults."""
    return (expected.blocks and not found.blocks) or (found is Verdict.PASS and expected is not Verdict.PASS)


def _run(rows: tuple[str, ...], outcome: Outcome, about: str, *, by_dagster: bool) -> Verdicts:
    """The verdicts of a run under faults; none where it was refused in the product's own words."""
    try:
        if by_dagster:
            with dg.DagsterInstance.ephemeral() as instance:
                return _verdicts(run_readiness(load_settings(), rows, instance=instance))
        return _verdicts(recorded(load_settings(), rows))
    except (NotAsked, ConfigurationError):
        outcome.refused += 1
    except Exception as error:  # noqa: BLE001 - a crash is what is looked for
        outcome.problems.append(f"{about}: {type(error).__name__}: {error}"[:600])
    return {}


@contextmanager
def _through_proxies(plan: Plan, sandbox: Sandbox) -> Iterator[None]:
    """In this block the environment points to proxies before the sandbox's AWS and its Control Center."""
    with ExitStack() as stack:
        stack.enter_context(over_sockets())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        for name in ("AWS_ENDPOINT_URL", "PHASE5_CONTROL_CENTER_URL"):
            patch.setenv(name, stack.enter_context(proxy(sandbox.exports()[name], plan)))
        yield


def _records() -> RunRecords:
    settings = load_settings()
    return RunRecords(AwsReader(settings.reading), settings.tables.readiness)


def contradictions() -> list[str]:
    """What evidence folders and records of runs say that cannot all be true, and what of a bundle is half written."""
    settings = load_settings()
    store = EvidenceStore(settings.state_dir / "evidence")
    records = list(_records().newest_first(settings.environment))
    found = []
    if [record.seq for record in records] != list(range(len(records), 0, -1)):
        found.append(f"records of runs have the numbers {[record.seq for record in records]}")
    for newer, older in pairwise(records):
        if newer.previous != older.digest:
            found.append(f"record {newer.seq} does not follow {older.seq}")
    if twice := [run_id for run_id, count in Counter(record.found.run_id for record in records).items() if count > 1]:
        found.append(f"runs with two records: {twice}")
    recorded_as = {record.found.run_id: record.found.manifest for record in records}
    for run_id in store.run_ids():
        digest = _sealed(store, run_id)
        if run_id in recorded_as and digest != recorded_as[run_id]:
            found.append(f"run {run_id} is recorded with another digest than its folder has")
        for path in store.run_folder(run_id).rglob("*"):
            if path.is_file() and path.name.startswith("."):
                found.append(f"a file that was being written is left: {path.relative_to(store.root)}")
    if missing := recorded_as.keys() - set(store.run_ids()):
        found.append(f"recorded runs without a folder: {sorted(missing)}")
    return found


def _sealed(store: EvidenceStore, run_id: str) -> str | None:
    """The digest of a folder that is whole: sealed, with every file as it was sealed; None otherwise."""
    try:
        sealed = store.sealed_digest(run_id)
        return sealed if store.digest_of(store.manifest(run_id)) == sealed else None
    except (OSError, ValueError):
        return None


def _time_passes(sandbox: Sandbox) -> None:
    """As if the time of the lease had gone by."""
    client = sandbox.session().client("dynamodb", endpoint_url=sandbox.endpoint)
    place = ProbesPartition.of(load_settings())
    if item := client.get_item(TableName=place.table, Key=place.lease).get("Item"):
        client.put_item(TableName=place.table, Item={**item, "expires_at_epoch": {"N": "1"}})


def kept_items(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    """Items that a run must leave as they were: who is stopped, what is configured, intents, and the lease."""
    settings = load_settings()
    client = sandbox.session().client("dynamodb", endpoint_url=sandbox.endpoint)
    names = (settings.tables.tenants, settings.tables.autonomy_config, settings.tables.action_intent, settings.tables.readiness)
    found = {}
    for name in names:
        keys = [each["AttributeName"] for each in client.describe_table(TableName=name)["Table"]["KeySchema"]]
        for item in client.scan(TableName=name)["Items"]:
            if name != settings.tables.readiness or item["sk"] == {"S": "LEASE"}:
                found[f"{name} {' '.join(str(item[key]) for key in keys)}"] = item
    return found


def changed_items(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The keys of items that were put in, taken out or altered; an id of a canary is written as one word."""
    keys = [key for key in before.keys() | after.keys() if before.get(key) != after.get(key)]
    return sorted({re.sub(r"[0-9a-f-]{36}|[0-9a-f]{12,}", "ID", key) for key in keys})
