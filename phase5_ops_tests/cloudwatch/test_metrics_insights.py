"""Metrics Insights queries, against the examples of CloudWatch's query language."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.cloudwatch.metrics_insights import InsightsError, is_insights_query, parse_query

NS = "CCNative/Execution"
BASE = {"tool_name": "crm.create_task", "connector_id": "crm_salesforce"}
TENANT = BASE | {"tenant_id": "t-1"}


def test_from_a_namespace_covers_every_dimension_set():
    query = parse_query(f'SELECT SUM(tool_error) FROM "{NS}"')
    assert (query.function, query.statistic, query.metric_name, query.namespace) == ("SUM", "Sum", "tool_error", NS)
    assert query.matches(NS, BASE)
    assert query.matches(NS, TENANT)
    assert query.matches(NS, {})
    assert not query.matches("Other", BASE)


def test_schema_covers_exactly_its_dimensions_in_any_order():
    query = parse_query(f'SELECT AVG("tool_latency_ms") FROM SCHEMA("{NS}", connector_id, tool_name)')
    assert query.matches(NS, BASE)
    assert not query.matches(NS, TENANT)
    assert not query.matches(NS, {"tool_name": "a"})


def test_schema_of_only_a_namespace_covers_metrics_without_dimensions():
    query = parse_query('SELECT AVG(CPUUtilization) FROM SCHEMA("AWS/EC2")')
    assert query.matches("AWS/EC2", {})
    assert not query.matches("AWS/EC2", {"InstanceId": "i"})


def test_all_clauses_in_any_case():
    query = parse_query(
        "select max(CPUUtilization) from Schema(\"AWS/EC2\", InstanceId) where InstanceId != 'i-1' group by InstanceId, "
        '"Other Key" order by avg() desc limit 10'
    )
    assert (query.function, query.group_by, query.order_by) == ("MAX", ("InstanceId", "Other Key"), "AVG")
    assert query.descending
    assert query.limit == 10


@pytest.mark.parametrize(
    ("where", "matches"),
    [
        ("tool_name = 'crm.create_task'", True),
        ("tool_name = 'other'", False),
        ("tool_name != 'other' AND connector_id = 'crm_salesforce'", True),
        ("tool_name = 'other' OR connector_id = 'crm_salesforce'", True),
        ("(tool_name = 'other' OR connector_id = 'crm_salesforce') AND tenant_id = 't-2'", False),
        ("tool_name IN ('a', 'crm.create_task')", True),
        ("tool_name NOT IN ('a', 'crm.create_task')", False),
        ("absent != 'x'", False),
        ("\"tool_name\" = 'it\\'s'", False),
    ],
)
def test_where(where, matches):
    assert parse_query(f'SELECT SUM(tool_error) FROM "{NS}" WHERE {where}').matches(NS, TENANT) == matches


ACCOUNTS = ("111122223333", "444455556666")


@st.composite
def _conditions(draw, depth=3):
    """A condition on the account as text, and what it says to (account, whether it is the own one)."""
    if depth and draw(st.booleans()):
        word, together = draw(st.sampled_from([("AND", all), ("OR", any)]))
        parts = draw(st.lists(_conditions(depth=depth - 1), min_size=2, max_size=3))
        return f"({f' {word} '.join(text for text, _ in parts)})", lambda *metric: together(holds(*metric) for _, holds in parts)
    values = draw(st.lists(st.sampled_from([*ACCOUNTS, None]), min_size=1, max_size=3))
    negated = draw(st.booleans())
    function = draw(st.sampled_from(["LOCAL()", "current_account_id()"]))
    texts = [f"'{value}'" if value else function for value in values]
    one = len(values) == 1 and draw(st.booleans())
    compared = f"{'!=' if negated else '='} {texts[0]}" if one else f"{'NOT ' * negated}IN ({', '.join(texts)})"
    return f"AWS.AccountId {compared}", lambda account, own: (account in values or (own and None in values)) is not negated


@given(condition=_conditions())
def test_conditions_on_the_account(condition):
    """As each of the accounts, own or not; where the own one is not known, nothing that names a number is taken for granted."""
    text, holds = condition
    query = parse_query(f'SELECT SUM(tool_error) FROM "{NS}" WHERE {text} GROUP BY AWS.AccountId')
    assert query.accounts == {account for account in ACCOUNTS if account in text}
    for account in ACCOUNTS:
        for foreign in (False, True):
            assert query.matches(NS, BASE, account=account, foreign=foreign) is holds(account, not foreign)
    own, other = ACCOUNTS
    assert query.finds_others(BASE, own) is (other in query.accounts and holds(other, False))
    if query.matches(NS, BASE):
        assert all(holds(account, True) for account in (*ACCOUNTS, "777777777777"))


def test_group_by_covers_only_metrics_with_that_dimension():
    query = parse_query(f'SELECT SUM(tool_error) FROM "{NS}" GROUP BY tenant_id')
    assert query.matches(NS, TENANT)
    assert not query.matches(NS, BASE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "SELECT P99(x) FROM ns",
        "SELECT SUM(x)",
        "SELECT SUM(x) FROM ns WHERE a = 1",
        "SELECT SUM(x) FROM ns LIMIT x",
        "SELECT SUM(x) FROM ns LIMIT " + "9" * 5000,
        "SELECT SUM(x) FROM ns trailing",
        "SELECT SUM(x) FROM SCHEMA()",
        "SELECT SUM(x) FROM ns WHERE a LIKE 'b'",
        "m1 + m2",
        "SELECT SUM(x) FROM ns ORDER BY SUM",
        "SELECT SUM(x) FROM ns WHERE " + "(" * 200,
    ],
)
def test_what_is_not_a_query_is_refused(text):
    with pytest.raises(InsightsError):
        parse_query(text)


def test_queries_are_told_from_metric_math():
    assert is_insights_query(" select SUM(x) FROM y")
    assert not is_insights_query("SUM(METRICS())")


@pytest.mark.parametrize(
    ("where", "needed"),
    [
        ("", None),
        ("WHERE tool_name = 'x'", ("tool_name", {"x"})),
        ("WHERE AWS.AccountId = '1' AND tool_name IN ('x', 'y')", ("tool_name", {"x", "y"})),
        ("WHERE tool_name != 'x' AND tenant = 'a'", ("tenant", {"a"})),
        ("WHERE tool_name = 'x' OR tenant = 'a'", None),
        ("WHERE tool_name != 'x'", None),
    ],
)
def test_a_dimension_is_needed_only_where_no_metric_without_it_can_match(where, needed):
    query = parse_query(f'SELECT SUM(tool_error) FROM "CCNative/Execution" {where}')
    assert query.needed == (needed and (needed[0], frozenset(needed[1])))


@pytest.mark.parametrize(
    ("rest", "expected"),
    [
        ("", "abc"),
        ("ORDER BY SUM() DESC", "bca"),
        ("ORDER BY AVG() DESC", "acb"),
        ("ORDER BY MAX() ASC", "bca"),
        ("ORDER BY MIN() ASC", "bca"),
        ("ORDER BY COUNT() DESC LIMIT 2", "bc"),
        ("ORDER BY COUNT() LIMIT 900", "acb"),
    ],
)
def test_time_series_are_returned_in_order_and_up_to_the_limit(rest, expected):
    lines = {"none": [], "a": [5.0], "b": [2.0, 2.0, 2.0], "c": [2.5, 3.0]}
    query = parse_query(f"SELECT SUM(tool_error) FROM ns GROUP BY tenant_id {rest}")
    assert "".join(query.returned(lines, lines.__getitem__)) == expected
    many = query.returned(range(600), lambda number: [float(number)])
    assert len(many) == (2 if "LIMIT 2" in rest else 500)
