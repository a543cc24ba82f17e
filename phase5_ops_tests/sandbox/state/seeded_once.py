"""A sandbox's tables and metric data, put in once and copied for each further sandbox that begins with the same.

Whatever a scenario changes of a table makes it another, which is put in by the product. What must not live here: anything that
outlives a sandbox's end, or that the sandbox works out while it serves.
"""

import copy
import copyreg
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from moto.core.utils import utcnow
from moto.dynamodb.models import Table, dynamodb_backends
from moto.dynamodb.models.dynamo_type import LimitedSizeDict

from phase5_ops.sandbox import seed
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.state import traffic
from phase5_ops.sandbox.state.blueprint import Blueprint

T = TypeVar("T")

_seed_table, _rows_of = seed._seed_table, traffic.rows_of
_tables: OrderedDict[str, bytes] = OrderedDict()
_rows: OrderedDict[str, traffic.Rows] = OrderedDict()


@contextmanager
def seeded_once() -> Iterator[None]:
    """In this block sandboxes of this process begin so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phase5_ops.sandbox.seed._seed_table", _copied_table)
        patch.setattr("phase5_ops.sandbox.server.rows_of", _copied_rows)
        yield


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


def _pickled(table: Table) -> bytes:
    """A table whose items are not measured again, attribute by attribute, when they are read back."""
    written = io.BytesIO()
    pickler = pickle.Pickler(written)
    pickler.dispatch_table = copyreg.dispatch_table | {LimitedSizeDict: lambda attributes: (_measured, (dict(attributes),))}
    pickler.dump(table)
    return written.getvalue()


def _measured(attributes: dict[str, Any]) -> LimitedSizeDict:
    measured = LimitedSizeDict()
    dict.update(measured, attributes)
    return measured


def _copied_rows(blueprint: Blueprint) -> traffic.Rows:
    key = repr((blueprint.traffic, blueprint.points, blueprint.epoch))
    return copy.copy(_kept(_rows, key, lambda: _rows_of(blueprint), most=4))


def _kept(kept: OrderedDict[str, T], key: str, make: Callable[[], T], *, most: int) -> T:
    if key not in kept:
        kept[key] = make()
        if len(kept) > most:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
