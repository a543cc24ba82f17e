"""What holds for any resilience table: judges never raise, a fault never helps, health passes."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase5_ops.verdict import Verdict, worst
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.breakers.support import NOW, Platform, T, number, slots, state

pytestmark = pytest.mark.slow

EXAMPLES = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))

CONNECTORS = ("internal", "crm_salesforce", "calendar")
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
numbers = st.integers(-5, T + 10**7).map(number)
attributes = st.one_of(
    numbers,
    st.builds(lambda kind, value: {kind: value}, st.sampled_from(["S", "N", "BOOL", "NULL", "L", "M"]), scalars),
    scalars,
)
keys = st.one_of(st.sampled_from([{"S": f"CONNECTOR#{name}"} for name in (*CONNECTORS, "x___internal", "")]), attributes)
any_item = st.one_of(
    scalars,
    st.fixed_dictionaries(
        {},
        optional={
            "pk": keys,
            "sk": st.one_of(st.sampled_from([{"S": "STATE"}, {"S": "CONCURRENCY"}]), attributes),
            "state": st.one_of(st.sampled_from([{"S": "OPEN"}, {"S": "CLOSED"}, {"S": "HALF_OPEN"}]), attributes),
            "failure_count": attributes,
            "window_start_epoch_sec": attributes,
            "open_until_epoch_sec": attributes,
            "ttl_epoch_sec": attributes,
            "half_open_probe_in_flight": attributes,
            "in_flight_count": attributes,
        },
    ),
)
any_tenant = st.one_of(
    scalars,
    st.dictionaries(
        st.sampled_from(["tenantId", "status", "execution_enabled", "disabled_action_types"]), attributes, max_size=4
    ),
)

healthy_connector = st.builds(
    lambda failures, age, used: (failures, age, used), st.integers(0, 4), st.integers(0, 6 * 86_400), st.integers(0, 20)
)


def healthy(values):
    """A healthy platform: every breaker closed, every slot in use beside fresh data points."""
    items = []
    for name, (failures, age, used) in zip(CONNECTORS, values, strict=False):
        items += [state(name, start=T - age, failure_count=number(failures)), slots(name, used)]
    return Platform(items=items, datapoints=dict.fromkeys(CONNECTORS, NOW))


FAULTS = (
    state("erp", "BROKEN"),
    state("erp", ttl_epoch_sec=None),
    state("erp", ttl_epoch_sec=number(T + 40 * 86_400)),
    state("erp", failure_count={"S": "x"}),
    state("erp", "OPEN", open_until_epoch_sec=None),
    state("erp", "OPEN", start=T - 3600),
    state("erp", "OPEN", start=T - 5),
    state("erp", "HALF_OPEN", start=T - 900, written=T - 400),
    state("erp", start=T + 3600),
    slots("erp", 21),
    slots("erp", 1),
    {"pk": {"S": "TENANT#x"}, "sk": {"S": "STATE"}},
)
faults = st.sampled_from(FAULTS)


@EXAMPLES
@given(items=st.lists(any_item, max_size=5), tenants=st.lists(any_tenant, max_size=3))
def test_no_item_makes_a_judge_raise(items, tenants):
    platform = Platform(items=items, tenants=tenants)
    assert platform.observable().verdict in Verdict
    assert platform.operated().verdict in Verdict


@EXAMPLES
@given(items=st.lists(any_item, max_size=4))
def test_an_item_that_says_nothing_wrong_is_in_one_of_the_three_states(items):
    """PASS needs every required connector readable, valid and closed or on probe."""
    platform = Platform(items=items)
    if platform.observable().verdict is Verdict.PASS:
        states = set(platform.table().frame["state"].dropna())
        assert states <= {"CLOSED", "OPEN", "HALF_OPEN"}


@EXAMPLES
@given(values=st.lists(healthy_connector, min_size=2, max_size=3))
def test_health_passes(values):
    platform = healthy(values)
    assert platform.observable().verdict is Verdict.PASS
    assert platform.operated().verdict is Verdict.PASS


@EXAMPLES
@given(values=st.lists(healthy_connector, min_size=2, max_size=3), present=faults, added=faults)
def test_another_faulty_connector_never_improves_a_verdict(values, present, added):
    before = healthy(values)
    before.items.append(present)
    after = healthy(values)
    elsewhere = {**added, "pk": {"S": added["pk"]["S"].replace("erp", "fax")}}
    after.items += [present, elsewhere]
    for row in ("observable", "operated"):
        ahead, behind = getattr(before, row)().verdict, getattr(after, row)().verdict
        assert worst([ahead, behind]) is behind


@EXAMPLES
@given(fault=faults)
def test_every_fault_shows_in_a_row(fault):
    platform = healthy([(0, 60, 0), (0, 60, 0)])
    platform.items.append(fault)
    platform.connectors = ("erp",)
    assert worst([platform.observable().verdict, platform.operated().verdict]) is not Verdict.PASS


@EXAMPLES
@given(items=st.lists(any_item, max_size=4), count=st.integers(0, 3))
def test_the_table_survives_parquet(tmp_path_factory, items, count):
    platform = Platform(items=items)
    for _ in range(count):
        platform.seen_before(state("internal"), slots("internal"))
    assert_kept(platform.table(), tmp_path_factory.mktemp("table"))
