"""A platform of a size has as much of everything as was asked for, and is the same each time."""

from collections import Counter
from datetime import UTC, datetime

from phase5_ops.sandbox.seed import items_of
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.healthy import healthy
from phase5_ops.sandbox.state.sized import Size, enlarge

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def platform(size: Size) -> Blueprint:
    made = healthy(NOW, "us-west-2")
    enlarge(made, size, "us-west-2")
    return made


def test_a_size_has_so_many_tenants_tools_and_connectors_with_data_of_their_own():
    made = platform(Size(tenants=25, tools=9, connectors=6))
    assert len({tenant["tenantId"] for tenant in made.tenants}) == 25
    assert len(made.tools()) == len({traffic.tool for traffic in made.traffic}) == 9
    assert len(made.alarms) == 18
    assert len({breaker["pk"] for breaker in made.breakers}) == 6
    assert {traffic.connector for traffic in made.traffic} >= {"connector-000", "connector-001", "connector-002"}
    keys = Counter((item["pk"]["S"], item["sk"]["S"]) for held in items_of(made).values() for item in held if "pk" in item)
    assert max(keys.values()) == 1
    assert {"TENANT#tenant-00000#ACCOUNT#acct-tenant-00000-1", "TENANT#tenant-00019"} <= {pk for pk, _ in keys}


def test_the_same_size_is_the_same_platform_and_another_seed_has_other_callers():
    first, again, other = (platform(Size(200, 5, 4, seed=seed)) for seed in (5, 5, 6))
    assert first == again
    assert [traffic.tenants for traffic in first.traffic] != [traffic.tenants for traffic in other.traffic]
