"""A running healthy sandbox that goes into a scenario and back: only what the scenario changes is put in, by the product's code.

What is put in is put into an AWS service that begins empty, as a sandbox's own begins; the service as it was before is laid
aside, and is there again afterwards. What must not live here: a change of the working platform, which needs its own sandbox.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import fields
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from moto.budgets.models import budgets_backends
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.base_backend import BackendDict
from moto.dynamodb.models import dynamodb_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.sns.models import sns_backends

from phase5_ops.sandbox import seed, server
from phase5_ops.sandbox.aws import cloudwatch, cost_explorer
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.ccnative.event_log import GROUP
from phase5_ops.sandbox.continuing import ContinuingPlatform
from phase5_ops.sandbox.scenarios.catalogue import named
from phase5_ops.sandbox.scenarios.registry import Scenario
from phase5_ops.sandbox.state.blueprint import NAMESPACE, Blueprint
from phase5_ops.sandbox.state.function_roles import seed_roles
from phase5_ops.sandbox.state.records import table_specs
from phase5_ops.settings import Tables

_METRICS = frozenset({"traffic", "points"})
_ALARMS = frozenset(
    {"alarms", "alarm_states", "composites", "mute_rules", "topics", "topic_attributes", "dashboards", "alarm_histories"}
)
_ITEMS = frozenset({"items", "raw_items", "tenants", "breakers", "missing_tables"})
_BILL = frozenset({"billing", "cost_tags", "cost_tags_updated"})
#: The fields of the blueprint that a running sandbox can be changed in.
CHANGEABLE = _METRICS | _ALARMS | _ITEMS | _BILL | {"cost_budgets", "logs", "roles", "runbook", "faults", "settings"}


@cache
def _healthy(now: datetime, region: str) -> tuple[Blueprint, dict[str, list[dict[str, Any]]]]:
    """The healthy platform, and its items by their table."""
    state = named("healthy").blueprint(now, region)
    return state, seed.items_of(state)


def changed(state: Blueprint, region: str) -> frozenset[str]:
    """The fields of the blueprint in which it is not the healthy platform."""
    healthy, _ = _healthy(state.now, region)
    return frozenset(field.name for field in fields(state) if getattr(state, field.name) != getattr(healthy, field.name))


@contextmanager
def in_scenario(sandbox: server.Sandbox, scenario: Scenario) -> Iterator[dict[str, str]]:
    """In this block the running healthy sandbox is in the scenario, at its first moment again; gives the environment for it.

    Raises:
        ValueError: the scenario changes what a running sandbox cannot be changed in.
    """
    clock, region = sandbox.clock, sandbox.region
    clock.advance(clock.first - clock.now())
    state = scenario.blueprint(clock.first, region)
    fields_changed = changed(state, region)
    if left := fields_changed - CHANGEABLE:
        raise ValueError(f"a running sandbox cannot be changed in {sorted(left)}")
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sandbox._server, "before", ContinuingPlatform(state, sandbox.inside, clock, region).catch_up)
        _change_tables(stack, sandbox, state, others=bool(fields_changed & _ITEMS))
        if fields_changed & (_METRICS | _ALARMS | {"faults"}):  # a fault may leave its mark on the alarms
            _change_alarms(stack, sandbox, state, with_metrics=bool(fields_changed & _METRICS))
        if "logs" in fields_changed:
            stack.enter_context(_anew(logs_backends, region))
            logs = sandbox.inside.client("logs")
            for group in (*seed.LOG_GROUPS, GROUP):
                logs.create_log_group(logGroupName=group)
            seed.put_logs(logs, state.logs, state.now_ms)
        if "roles" in fields_changed:
            stack.enter_context(_anew(iam_backends, "aws"))
            seed_roles(sandbox.inside.client("iam"), state.roles)
        if "cost_budgets" in fields_changed:
            stack.enter_context(_anew(budgets_backends, "aws"))
            seed._seed_budgets(sandbox.inside.client("budgets"), state)
        if fields_changed & _BILL:
            stack.enter_context(
                cost_explorer.installed(clock, lines=state.billing, tags=state.cost_tags, tags_updated=state.cost_tags_updated)
            )
        if "runbook" in fields_changed:
            stack.enter_context(_runbook(Path(sandbox.exports()["PHASE5_RUNBOOK"]), state.runbook))
        stack.callback(sandbox.faults.clear)
        for fault in state.faults:
            sandbox.faults.add(**fault)
        yield {**sandbox.exports(), **state.settings}


@contextmanager
def _anew(backends: BackendDict, region: str) -> Iterator[None]:
    """In this block the service begins empty; afterwards it is what it was before."""
    of_account = backends[ACCOUNT]
    before = of_account[region]
    del of_account[region]
    try:
        yield
    finally:
        of_account[region] = before


def _change_tables(stack: ExitStack, sandbox: server.Sandbox, state: Blueprint, *, others: bool) -> None:
    """phase5's own table is as new, and so are tables with other items than those of the healthy platform, if there are any."""
    tables = dynamodb_backends[ACCOUNT][sandbox.region].tables
    before = dict(tables)
    stack.callback(lambda: (tables.clear(), tables.update(before)))
    _, healthy = _healthy(state.now, sandbox.region)
    items = seed.items_of(state) if others else healthy
    for spec in table_specs():
        name = spec["name"]
        there = name not in state.missing_tables
        if name == Tables().readiness or not there or items.get(name, []) != healthy.get(name, []):
            del tables[name]
            if there:
                seed._seed_table(sandbox.inside.dynamodb, spec, items.get(name, []))


def _change_alarms(stack: ExitStack, sandbox: server.Sandbox, state: Blueprint, *, with_metrics: bool) -> None:
    """Alarms, dashboards and topics are made anew, and the metrics too where they are others."""
    region, metrics = sandbox.region, cloudwatch.store(sandbox.region)
    stack.enter_context(_anew(cloudwatch_backends, region))
    stack.enter_context(_anew(sns_backends, region))
    if with_metrics:
        metrics = cloudwatch.store(region)
        for key, rows in seed.rows_of(state).items():
            metrics.put(NAMESPACE, key.metric, dict(key.dimensions), rows)
    cloudwatch._state(cloudwatch_backends[ACCOUNT][region]).store = metrics
    seed._seed_alarms(sandbox.inside.client("cloudwatch"), sandbox.inside.client("sns"), state)
    sandbox.inside.client("sns").create_topic(Name=seed.NOTIFICATIONS)
    cloudwatch.backdate_alarms(region, sandbox.clock.now() - server.ALARMS_AGE)


@contextmanager
def _runbook(path: Path, text: str | None) -> Iterator[None]:
    before = path.read_text(encoding="utf-8")
    if text is None:
        path.unlink()
    else:
        path.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(before, encoding="utf-8")
