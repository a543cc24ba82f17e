"""What the platform goes on doing while a sandbox is served: its tools' traffic, and executions with their log lines and entries.

Nothing runs by itself. Ahead of a request to the AWS endpoint, what the platform did since the last one is put in, up to the
platform's clock: so an hour may pass at once, and a sandbox that nobody asks costs nothing. A minute's calls are there when the
minute is over, as metrics come; every tenant but the test tenants has an execution an hour, as in the scenario's own past.
A scenario's faults of traffic go on too: what it ended stays ended. A replayed capture stands still.
"""

import threading
from contextlib import suppress
from typing import Any

from phase5_ops.sandbox.aws import cloudwatch as moto_cloudwatch
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.inside import InsideAws, to_item
from phase5_ops.sandbox.seed import put_logs
from phase5_ops.sandbox.state.blueprint import NAMESPACE, Blueprint
from phase5_ops.sandbox.state.ordinary_logs import LogLine, OrdinaryExecution, execution_logs, ledger_items, stored_records
from phase5_ops.sandbox.state.probe_tenants import PROBE_TENANTS
from phase5_ops.sandbox.state.records import LEDGER
from phase5_ops.sandbox.state.traffic import rows_between

_MINUTE, _HOUR = 60, 3600
_SETTLED_MS = 10_000  # an execution's last line is written this long after its first, at most
_FIRST_NUMBER = 1000  # past the numbers of a blueprint's own executions


class ContinuingPlatform:
    """The ordinary work of a served platform.

    Args:
        blueprint: the scenario, at its present.
        aws: AWS as the platform reaches it.
        clock: the platform's clock.
        region: where it is.
    """

    def __init__(self, blueprint: Blueprint, aws: InsideAws, clock: PlatformClock, region: str) -> None:
        self._blueprint, self._aws, self._clock, self._region = blueprint, aws, clock, region
        self._minute = blueprint.epoch // _MINUTE * _MINUTE  # data points are there up to this epoch second
        self._hours = 0  # hours since the blueprint's present whose executions are there
        self._lock = threading.Lock()
        test_tenants = {tenant.tenant_id for tenant in PROBE_TENANTS}
        executing = blueprint.logs and LEDGER not in blueprint.missing_tables
        self._tenants = [str(t["tenantId"]) for t in blueprint.tenants if t["tenantId"] not in test_tenants] if executing else []

    def catch_up(self) -> None:
        """Puts in what the platform did until now, once a minute at most; requests that arrive meanwhile wait for it."""
        if self._clock.now().timestamp() < self._minute + _MINUTE:
            return
        with self._lock:
            now = int(self._clock.now().timestamp())
            if now >= self._minute + _MINUTE:
                self._add_executions(now)
                self._add_metrics(now // _MINUTE * _MINUTE)

    def _add_metrics(self, until: int) -> None:
        store = moto_cloudwatch.store(self._region)
        for key, rows in rows_between(self._blueprint, self._minute, until).items():
            store.put(NAMESPACE, key.metric, dict(key.dimensions), rows)
        self._minute = until

    def _add_executions(self, now: int) -> None:
        """One execution a tenant and hour, never two in one second, each once all its lines are in the past."""
        if not self._tenants:
            return
        lines: list[LogLine] = []
        items: list[tuple[str, dict[str, Any]]] = []
        present = now * 1000
        while self._blueprint.now_ms + (self._hours + 1) * _HOUR * 1000 + _SETTLED_MS <= present:
            self._hours += 1
            for index, tenant in enumerate(self._tenants):
                began = self._blueprint.now_ms + self._hours * _HOUR * 1000 - 2000 * index
                execution = OrdinaryExecution(tenant, _FIRST_NUMBER + self._hours, ago_ms=present - began, now_ms=present)
                lines += execution_logs(execution)
                items += [(LEDGER, item) for item in ledger_items(execution)]
                items += [(table, to_item(item)) for table, item in stored_records(execution)]
        dynamodb, logs = self._aws.dynamodb, self._aws.client("logs")
        for table, item in items:
            with suppress(dynamodb.exceptions.ResourceNotFoundException):  # a table that was removed takes no items
                dynamodb.put_item(TableName=table, Item=item)
        with suppress(logs.exceptions.ResourceNotFoundException):
            put_logs(logs, lines, present)
