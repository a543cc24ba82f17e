"""A sandbox's tables and metric data, put in once and copied for each further sandbox that begins with the same.

Whatever a scenario changes of them makes them others, which are put in by the product. What must not live here: anything that
outlives a sandbox's end, or that the sandbox works out while it serves.
"""

import copy
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
from moto.core.utils import utcnow
from moto.dynamodb.models import dynamodb_backends

from phase5_ops.sandbox import seed
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.state import traffic
from phase5_ops.sandbox.state.blueprint import Blueprint

T = TypeVar("T")

_seed_tables, _rows_of = seed._seed_tables, traffic.rows_of
_MOST = 4  # of each; nearly all scenarios leave them as they are in the healthy one
_tables: OrderedDict[str, bytes] = OrderedDict()
_rows: OrderedDict[str, traffic.Rows] = OrderedDict()


@contextmanager
def seeded_once() -> Iterator[None]:
    """In this block sandboxes of this process begin so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phase5_ops.sandbox.seed._seed_tables", _copied_tables)
        patch.setattr("phase5_ops.sandbox.server.rows_of", _copied_rows)
        yield


def _copied_tables(dynamodb: Any, blueprint: Blueprint) -> None:
    region, missing = dynamodb.meta.region_name, sorted(blueprint.missing_tables)
    held = (blueprint.action_types, blueprint.tenants, blueprint.breakers, blueprint.raw_items, blueprint.items)
    tables = dynamodb_backends[ACCOUNT][region].tables

    def put_in() -> bytes:
        _seed_tables(dynamodb, blueprint)
        return pickle.dumps(tables)

    content = _kept(_tables, repr((region, missing, *held)), put_in)
    if not tables:
        tables.update(pickle.loads(content))
        for table in tables.values():
            table.created_at = utcnow()


def _copied_rows(blueprint: Blueprint) -> traffic.Rows:
    key = repr((blueprint.traffic, blueprint.points, blueprint.epoch))
    return copy.copy(_kept(_rows, key, lambda: _rows_of(blueprint)))


def _kept(kept: OrderedDict[str, T], key: str, make: Callable[[], T]) -> T:
    if key not in kept:
        kept[key] = make()
        if len(kept) > _MOST:
            kept.popitem(last=False)
    kept.move_to_end(key)
    return kept[key]
