"""A sandbox's data, put in once by the product and copied for each further sandbox that begins with the same.

Whatever a scenario changes of it makes it another, which the product puts in; of that, tables that are as before are copied.
What must not live here: keys, users and tokens, anything that outlives a sandbox's end, or that it works out while it serves.
"""

import copyreg
import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from typing import Any, TypeVar

import pytest
from moto.core.base_backend import BackendDict
from moto.core.utils import utcnow
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import LimitedSizeDict

from phase5_ops.sandbox import seed
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.aws.metric_store import StoredSeries
from phase5_ops.sandbox.state import traffic
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.healthy import healthy

T = TypeVar("T")

_seed_data, _seed_table, _rows_of = seed._seed_data, seed._seed_table, traffic.rows_of
_data: OrderedDict[bytes, bytes] = OrderedDict()
_tables: OrderedDict[str, bytes] = OrderedDict()
_rows: OrderedDict[str, traffic.Rows] = OrderedDict()
_healthy: OrderedDict[tuple[datetime, str], bytes] = OrderedDict()
#: The services of moto, whose objects are there once a process.
_services: dict[str, BackendDict] = {}


@contextmanager
def seeded_once() -> Iterator[None]:
    """In this block sandboxes of this process begin so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phase5_ops.sandbox.seed._seed_data", _copied_data)
        patch.setattr("phase5_ops.sandbox.seed._seed_table", _copied_table)
        patch.setattr("phase5_ops.sandbox.seed.rows_of", _copied_rows)
        patch.setattr("phase5_ops.sandbox.scenarios.registry.healthy", _copied_healthy)
        yield


def _copied_data(aws: InsideAws, region: str, blueprint: Blueprint) -> None:
    """Everything that moto holds afterwards, of each service; a sandbox begins with nothing in it."""
    said = [getattr(blueprint, field.name) for field in fields(blueprint) if field.name != "afterwards"]

    def put_in() -> bytes:
        if held := [service for service in _held() if service != "cloudwatch"]:
            raise AssertionError(f"a sandbox that begins has data of {held} already")
        _seed_data(aws, region, blueprint)
        return _pickled(_held())

    key = pickle.dumps((region, said))
    known = key in _data
    content = _kept(_data, key, put_in, most=8)
    if known:
        for service, backends in pickle.loads(content).items():
            _services[service][ACCOUNT].update(backends)
        for table in dynamodb_backends[ACCOUNT][region].tables.values():
            table.created_at = utcnow()


def _held() -> dict[str, dict[str, Any]]:
    """What moto holds: the backends of each service by their region."""
    _services.update({backends.service_name: backends for backends in BackendDict._instances})
    return {backends.service_name: dict(backends[ACCOUNT]) for backends in BackendDict._instances if backends.get(ACCOUNT)}


def _copied_table(dynamodb: Any, spec: dict[str, Any], items: list[dict[str, Any]]) -> None:
    region, name = dynamodb.meta.region_name, spec["name"]
    tables = dynamodb_backends[ACCOUNT][region].tables

    def put_in() -> bytes:
        _seed_table(dynamodb, spec, items)
        return _pickled(tables[name])

    content = _kept(_tables, repr((region, spec, items)), put_in, most=100)
    if name not in tables:
        tables[name] = pickle.loads(content)
        tables[name].created_at = utcnow()


def _copied_healthy(now: datetime, region: str) -> Blueprint:
    """What every scenario begins with, and changes."""
    return pickle.loads(_kept(_healthy, (now, region), lambda: pickle.dumps(healthy(now, region)), most=8))


def _copied_rows(blueprint: Blueprint) -> traffic.Rows:
    key = repr((blueprint.traffic, blueprint.points, blueprint.epoch))
    return dict(_kept(_rows, key, lambda: _rows_of(blueprint), most=4))


def _kept(kept: "OrderedDict[Any, T]", key: object, make: Callable[[], T], *, most: int) -> T:
    if key not in kept:
        kept[key] = make()
        if len(kept) > most:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]


# --- how it is kept ----------------------------------------------------------------------------------------------------------


def _measured(attributes: dict[str, Any]) -> LimitedSizeDict:
    measured = LimitedSizeDict()
    dict.update(measured, attributes)
    return measured


def _series_as_array(series: StoredSeries) -> tuple[Any, ...]:
    return StoredSeries, (series.namespace, series.name, series.dimensions, series.newest, series.rows())


_REDUCED: dict[type, Callable[[Any], Any]] = {
    LimitedSizeDict: lambda attributes: (_measured, (dict(attributes),)),  # an item is not measured again when it is read back
    StoredSeries: _series_as_array,
    type(threading.Lock()): lambda _: (threading.Lock, ()),
    type(threading.RLock()): lambda _: (threading.RLock, ()),
}


def _pickled(held: object) -> bytes:
    written = io.BytesIO()
    pickler = pickle.Pickler(written, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | _REDUCED
    pickler.dump(held)
    return written.getvalue()
