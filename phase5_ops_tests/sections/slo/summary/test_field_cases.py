"""Dashboards in the shapes that people have published: whose metrics they show, and what they show when they are opened."""

import json

import hypothesis
import hypothesis.strategies as st
import pytest

from phase5_ops.ccnative.registry import RegisteredTool
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.sections.slo.summary.dashboards import DashboardCoverage, dashboard_coverage
from phase5_ops_tests.places import FIELD_CASES

pytestmark = pytest.mark.slow

CASES = FIELD_CASES / "dashboards"
OWN, OTHER = "111122223333", "999988887777"
NAMESPACE, REGION = "CCNative/Execution", "us-west-2"
TOOLS = {"crm.update": "crm", "mail.send": "mail"}
TENANTS = ("t1", "t2")
METRICS = ("tool_latency_ms", "tool_success", "tool_error")
ALL = dict.fromkeys(TOOLS, METRICS)
STATISTICS = {"tool_latency_ms": "p99", "tool_success": "Sum", "tool_error": "Sum"}
FUNCTIONS = {"tool_latency_ms": "AVG", "tool_success": "SUM", "tool_error": "SUM"}


def coverage(body: object, account: str | None = OWN, tenants: tuple[str, ...] = TENANTS) -> DashboardCoverage:
    tools = [RegisteredTool(tool, connector, [], "registry", "steady") for tool, connector in TOOLS.items()]
    errors = [
        MetricSet.of("tool_error", {"tool_name": tool, "connector_id": connector, "tenant_id": tenant})
        for tool, connector in TOOLS.items()
        for tenant in tenants
    ]
    text = body if isinstance(body, str) else json.dumps(body)
    return dashboard_coverage({"d": text}, tools, errors, namespace=NAMESPACE, region=REGION, account=account)


def shown(body: object, account: str | None = OWN) -> dict[str, tuple[str, ...]]:
    return {tool: tuple(metrics) for (_, tool), metrics in coverage(body, account).shown.items()}


def dashboard(*metrics: object, variables: object = None, **properties: object) -> dict[str, object]:
    widget = {"type": "metric", "properties": {"region": REGION, "metrics": list(metrics), **properties}}
    return {"widgets": [widget]} | ({} if variables is None else {"variables": variables})


def schema(metric: str) -> str:
    return "tool_name,connector_id" + (",tenant_id" if metric == "tool_error" else "")


def searches(whose: str = "", around: str = "{}") -> list[list[object]]:
    """A search for each metric, of the account that `whose` says."""
    return [
        [
            {
                "expression": around.format(
                    f"SEARCH('{{{NAMESPACE},{schema(metric)}}} MetricName=\"{metric}\"{whose}', '{stat}', 300)"
                )
            }
        ]
        for metric, stat in STATISTICS.items()
    ]


def queries(whose: str = "", groups: str = "tool_name") -> list[list[object]]:
    """A Metrics Insights query for each metric."""
    return [
        [{"expression": f'SELECT {fn}({metric}) FROM SCHEMA("{NAMESPACE}", {schema(metric)}) {whose} GROUP BY {groups}'}]
        for metric, fn in FUNCTIONS.items()
    ]


def by_name(**options: object) -> list[list[object]]:
    """Each metric of each tool and tenant by its name."""
    return [
        [NAMESPACE, metric, "tool_name", tool, "connector_id", connector, *tenant, {"stat": stat, **options}]
        for tool, connector in TOOLS.items()
        for metric, stat in STATISTICS.items()
        for tenant in ([["tenant_id", tenant] for tenant in TENANTS] if metric == "tool_error" else [[]])
    ]


@pytest.mark.parametrize(
    ("case", "right"),
    [("d1_shorthand", ALL), ("d2_fill_hidden", ALL), ("d4_search_other_account", {}), ("d5b_insights_own_account", ALL)],
)
def test_field_cases(case, right):
    found = coverage((CASES / f"{case}.json").read_text())
    assert {tool: tuple(metrics) for (_, tool), metrics in found.shown.items()} == right
    assert not found.not_understood


@pytest.mark.parametrize(
    ("whose", "right"),
    [
        ("", ALL),
        (f' :aws.AccountId="{OWN}"', ALL),
        (f" :aws.AccountId={OWN}", ALL),
        (' :aws.AccountId="LOCAL"', ALL),
        (" :aws.AccountId = LOCAL", ALL),
        (f' :aws.AccountId=("{OTHER}" OR "{OWN}")', ALL),
        (f' NOT :aws.AccountId="{OTHER}"', ALL),
        (f' :aws.AccountId="{OTHER}"', {}),
        (f" :aws.AccountId={OTHER}", {}),
        (f' NOT :aws.AccountId="{OWN}"', {}),
        (' NOT :aws.AccountId="LOCAL"', {}),
        (f' :aws.AccountId="{OTHER}" :aws.AccountId="LOCAL"', {}),
        (' :aws.Region="us-west-2"', {}),
    ],
)
def test_searches_find_the_metrics_of_the_account_that_they_name(whose, right):
    assert shown(dashboard(*searches(whose))) == right


@pytest.mark.parametrize(
    ("whose", "right"),
    [
        (f"WHERE AWS.AccountId = '{OWN}'", ALL),
        (f"WHERE \"AWS.AccountId\" = '{OWN}'", ALL),
        ("WHERE AWS.AccountId = CURRENT_ACCOUNT_ID()", ALL),
        ("WHERE AWS.AccountId = LOCAL()", ALL),
        ("WHERE AWS.AccountId IN (LOCAL())", ALL),
        (f"WHERE AWS.AccountId != '{OTHER}'", ALL),
        (f"WHERE AWS.AccountId = '{OTHER}'", {}),
        (f"WHERE AWS.AccountId NOT IN ('{OWN}')", {}),
        ("WHERE AWS.AccountId != CURRENT_ACCOUNT_ID()", {}),
        (f"WHERE AWS.AccountId IN ('{OWN}', '{OTHER}')", {}),
        (f"WHERE AWS.AccountId = LOCAL() OR AWS.AccountId = '{OTHER}'", {}),
        ("WHERE AWS.AccountId = UNKNOWN()", {}),
        ("WHERE aws.accountid = 'x'", {}),
    ],
)
def test_queries_are_about_the_account_that_they_name(whose, right):
    """One that puts metrics of two accounts together shows those of neither."""
    assert shown(dashboard(*queries(whose))) == right


@pytest.mark.parametrize("groups", ["tool_name, AWS.AccountId", "AWS.AccountId, tool_name"])
def test_a_query_by_account_draws_the_own_one_apart(groups):
    assert shown(dashboard(*queries(groups=groups))) == ALL
    assert shown(dashboard(*queries(f"WHERE AWS.AccountId IN ('{OWN}', '{OTHER}')", groups))) == ALL
    hidden = [[{**row[0], "id": f"q{at}", "visible": False}] for at, row in enumerate(queries(groups=groups))]
    assert shown(dashboard(*hidden, [{"expression": "SUM(q0)"}])) == {}


def test_accounts_put_together_by_an_expression_show_nothing():
    one_tool = ' tool_name="crm.update"'
    both, mine = f' :aws.AccountId=("{OWN}" OR "{OTHER}")', f' :aws.AccountId="{OWN}"'
    assert shown(dashboard(*searches(one_tool + mine, "SUM({})"))) == {"crm.update": METRICS}
    assert shown(dashboard(*searches(one_tool + both, "SUM({})"))) == {}
    hidden = by_name(visible=False)[:1]
    rows = [[*row[:-1], {**row[-1], "id": "m1"}] for row in hidden] + [
        [*row[:-1], {**row[-1], "id": "m2", "accountId": OTHER}] for row in hidden
    ]
    assert shown(dashboard(*rows, [{"expression": "AVG(METRICS())"}])) == {}
    assert shown(dashboard(*rows[:1], [{"expression": "AVG(METRICS())"}])) == {"crm.update": METRICS[:1]}
    assert shown(dashboard(*rows, [{"expression": "FILL(METRICS(), 0)"}])) == {"crm.update": METRICS[:1]}


@pytest.mark.parametrize("account", [None, "unknown"])
def test_where_the_own_account_is_not_known_only_its_own_name_counts(account):
    assert shown(dashboard(*searches(' :aws.AccountId="LOCAL"')), account) == ALL
    assert shown(dashboard(*searches(f' :aws.AccountId="{OWN}"')), account) == {}
    assert shown(dashboard(*searches(f' NOT :aws.AccountId="{OTHER}"')), account) == {}
    assert shown(dashboard(*queries("WHERE AWS.AccountId = LOCAL()")), account) == ALL
    assert shown(dashboard(*queries(f"WHERE AWS.AccountId != '{OTHER}'")), account) == {}


@pytest.mark.parametrize(
    ("expression", "whole"),
    [
        ("FILL(m1, 0)", True),
        ("FILL(m1, -1)", True),
        ("FILL(m1, LINEAR)", True),
        ("ABS(m1)", True),
        ("m1 / PERIOD(m1)", True),
        ("FILL(REMOVE_EMPTY(m1 / 1000), 0)", True),
        ("FILL(m1, m2)", False),
        ("FILL(m1)", False),
        ("m1 / m2", False),
        ("m1 / (0 * PERIOD(m1))", False),
        ("FLOOR(m1 / 100000)", False),
        ("ABS(DIFF(m1))", False),
    ],
)
def test_an_expression_shows_the_metric_whose_line_it_keeps(expression, whole):
    first, second = ([*row[:-1], {**row[-1], "id": f"m{at}", "visible": False}] for at, row in enumerate(by_name()[:2], start=1))
    expected = {"crm.update": METRICS[:1]} if whole else {}
    assert shown(dashboard(first, second, [{"expression": expression, "id": "e1"}])) == expected


# --- variables ---


def variable(kind: str, target: str, default: object, **more: object) -> dict[str, object]:
    return {"type": kind, kind: target, "inputType": "input", "id": "v", "defaultValue": default} | more


CRM = {"crm.update": METRICS}
TOOL_SEARCH = {
    "inputType": "select",
    "search": f'{{{NAMESPACE},tool_name,connector_id}} MetricName="tool_success"',
    "populateFrom": "tool_name",
}
VALUES = {"inputType": "radio", "values": [{"value": REGION}, {"value": "us-east-1", "label": "East"}]}


@pytest.mark.parametrize(
    ("asked", "right"),
    [
        (variable("property", "region", REGION), ALL),
        (variable("property", "region", "us-east-1"), {}),
        (variable("property", "region", None), ALL),
        (variable("property", "region", REGION, **VALUES), ALL),
        (variable("property", "region", "us-east-1", **VALUES), {}),
        (variable("property", "region", "eu-west-1", **VALUES), {}),
        (variable("property", "accountId", OWN), ALL),
        (variable("property", "accountId", OTHER), {}),
        (variable("property", "accountId", OTHER, visible=False), {}),
        (variable("property", "stat", "Minimum"), {}),
        (variable("property", "period", 30 * 86400), ALL),
        (variable("property", "visible", False), ALL),
        (variable("property", "height", 0), ALL),
        (variable("property", "title", "anything"), ALL),
        (variable("property", "FunctionName", "anything"), ALL),
        (variable("property", "FunctionName", "__FIRST", **TOOL_SEARCH), ALL),
        (variable("property", "tool_name", "crm.update"), {"crm.update": METRICS}),
        (variable("property", "tool_name", "other.tool"), {}),
        (variable("property", "tool_name", "__FIRST", **TOOL_SEARCH), {}),
        (variable("property", "tool_name", "crm.update", **TOOL_SEARCH), {"crm.update": METRICS}),
        (variable("property", "tool_name", "gone.tool", **TOOL_SEARCH), {}),
        (variable("property", "tenant_id", "t1"), dict.fromkeys(TOOLS, METRICS[:2])),
        (variable("pattern", "us-west-2", REGION), ALL),
        (variable("pattern", "us-west-2", "us-east-1"), {}),
        (variable("pattern", "us-[a-z]+-2", "us-east-1"), {}),
        (variable("pattern", "us-(west|east)-[12]", REGION), ALL),
        (variable("pattern", r"crm\.update", "mail.send"), {"mail.send": METRICS}),
        (variable("pattern", "CCNative/Execution", "Other"), {}),
        (variable("pattern", "not in it", "anything"), ALL),
        (variable("pattern", "region", "accountId"), {}),
        (variable("pattern", "tool_success", "tool_succes"), dict.fromkeys(TOOLS, ("tool_latency_ms", "tool_error"))),
        (variable("pattern", "(a+)+$", "x"), {}),
        (variable("pattern", "(", "x"), {}),
        (variable("pattern", '"region":"us-west-2"', "x"), {}),
        (variable("pattern", "us-(west)-2", "us-$1-2"), {}),
        (variable("pattern", "widgets", "x"), {}),
        (variable("unknown", "region", REGION), {}),
        (variable("property", "", REGION), {}),
        (variable("property", "region", {"value": REGION}), {}),
        ("not a variable", {}),
    ],
)
def test_a_dashboard_shows_what_its_variables_leave(asked, right):
    """By the values that they have when it is opened."""
    if isinstance(asked, dict) and asked.get("property") == "tool_name" and asked["defaultValue"] == "crm.update":
        rows = [[part if part != "mail" else "crm" for part in row] for row in by_name()]
    else:
        rows = by_name()
    assert shown(dashboard(*rows, variables=[asked])) == right


def test_properties_that_are_not_written_are_not_changed_except_account_and_region():
    bare = {"widgets": [{"type": "metric", "properties": {"metrics": by_name()}}]}
    assert shown(bare | {"variables": [variable("property", "visible", False)]}) == ALL
    assert shown(bare | {"variables": [variable("property", "accountId", OTHER)]}) == {}
    assert shown(bare | {"variables": [variable("property", "region", "us-east-1")]}) == {}
    written = dashboard(*by_name(visible=True, region=REGION), height=6)
    assert shown(written | {"variables": [variable("property", "visible", False)]}) == {}
    assert shown(written | {"variables": [variable("property", "region", "us-east-1")]}) == {}
    timed = dashboard(*by_name(), period=300)
    assert shown(timed | {"variables": [variable("property", "period", 30 * 86400)]}) == {}
    assert shown(timed | {"variables": [variable("property", "period", 60)]}) == ALL
    sized = {"widgets": [widget | {"height": 6} for widget in written["widgets"]]}
    assert shown(sized | {"variables": [variable("property", "height", 0)]}) == {}


def test_a_default_may_be_what_makes_a_dashboard_show_the_metrics():
    elsewhere = dashboard(*by_name(), region="us-east-1", variables=[variable("property", "region", REGION, **VALUES)])
    assert shown(elsewhere) == ALL
    assert shown(elsewhere | {"variables": [variable("pattern", "us-east-1", REGION)]}) == ALL
    assert shown(elsewhere | {"variables": []}) == {}


def test_variables_are_put_in_one_after_the_other():
    first, second = variable("pattern", "us-west-2", "us-east-1"), variable("pattern", "us-east-1", REGION)
    assert shown(dashboard(*by_name(), variables=[first, second])) == ALL
    assert shown(dashboard(*by_name(), variables=[second, first])) == {}


def test_shorthand_stands_for_what_the_variable_changed():
    rows = [
        [NAMESPACE, "tool_latency_ms", "tool_name", "crm.update", "connector_id", "crm"],
        [".", "tool_success", ".", ".", ".", "."],
    ]
    assert shown(dashboard(*rows)) == {"crm.update": METRICS[:2]}
    assert shown(dashboard(*rows, variables=[variable("property", "tool_name", "x")])) == {}


def test_what_an_expression_asks_for_beside_a_variable_is_not_known():
    asks = searches(' tool_name="crm.update"')
    assert shown(dashboard(*asks, variables=[variable("property", "tool_name", "crm.update")])) == CRM
    found = coverage(dashboard(*asks, variables=[variable("property", "tool_name", "mail.send")]))
    assert not found.shown
    assert "which variable v may change" in found.not_understood["d"][0]
    assert shown(dashboard(*searches(), variables=[variable("property", "tool_name", "mail.send")])) == ALL
    assert shown(dashboard(*searches(), variables=[variable("pattern", "tool_success", "other")])) == dict.fromkeys(
        TOOLS, ("tool_latency_ms", "tool_error")
    )


@pytest.mark.parametrize(
    ("body", "part"),
    [
        (dashboard([{"expression": "SEARCH("}]), "SEARCH("),
        (dashboard([{"expression": "SELECT LATEST(x) FROM y"}]), "SELECT LATEST(x)"),
        (dashboard([{"expression": "SMOOTH(m1)"}]), "SMOOTH(m1)"),
        (dashboard(["x", 5]), "['x', 5]"),
        (dashboard("x"), "x in widget 1"),
        (dashboard([NAMESPACE, "tool_success", "tool_name"]), "the metric CCNative/Execution tool_success tool_name"),
        (dashboard([NAMESPACE, "tool_success", {"stat": "mode"}]), "the statistic mode"),
        (dashboard() | {"widgets": [{"type": "hologram", "properties": {}}]}, "widget 1 of type hologram"),
        (dashboard() | {"widgets": [5]}, "widget 1 of type None"),
        (dashboard(variables={}), None),
        (dashboard(variables={"a": 1}), "variables that are no list"),
        (dashboard(variables=[variable("property", "region", "__FIRST") | {"inputType": "select"}]), "variable v"),
        (dashboard(variables=[variable("regex", "region", "x")]), "variable v of type regex"),
        ({"widgets": [{"type": "text", "properties": {"markdown": "x"}}, {"type": "log", "properties": {}}]}, None),
    ],
)
def test_what_is_not_understood_is_named(body, part):
    found = coverage(body)
    parts = found.not_understood.get("d", ())
    assert not found.shown
    assert (part is None and not parts) or any(str(part) in each for each in parts)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["metric", "...", ".", "SEARCH('{a} b', 'Sum')", "", REGION]),
    lambda each: (
        st.lists(each, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "type", "properties", "metrics", "expression", "value", "region", "a"]), each, max_size=4
        )
    ),
    max_leaves=12,
)


@hypothesis.given(
    widget=st.fixed_dictionaries({}, optional={"type": JSON, "width": JSON, "properties": JSON}),
    rows=st.lists(JSON, max_size=3),
    options=st.dictionaries(
        st.sampled_from(["stat", "period", "visible", "id", "region", "title", "start", "end"]), JSON, max_size=3
    ),
    variables=st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["property", "pattern"])},
            optional=dict.fromkeys(
                ("property", "pattern", "defaultValue", "values", "search", "populateFrom", "inputType"), JSON
            ),
        )
        | JSON,
        max_size=2,
    ),
)
@hypothesis.settings(max_examples=150, deadline=None)
def test_whatever_stands_in_a_dashboard_it_is_read(widget, rows, options, variables):
    drawn = {"type": "metric", "properties": options | {"metrics": [*rows, [NAMESPACE, "tool_success", options]]}}
    coverage({"widgets": [widget, drawn], "variables": variables})
    coverage("[" * 100_000)


# --- whatever the parts: nothing is shown that is hidden, and what is not understood is named ---

HIDING = (
    {"region": "us-east-1"},
    {"accountId": OTHER},
    {"visible": False},
    {"period": 30 * 86400},
    {"stat": "Minimum"},
)
NOISE = (
    [{"expression": "SMOOTH(m1)"}],
    [{"expression": "SEARCH('{x} y', 'nonsense')"}],
    [NAMESPACE, "tool_success", "tool_name"],
    ["AWS/Lambda", "Errors", "FunctionName", "f"],
    [5],
)
NOT_UNDERSTOOD = NOISE[:3] + NOISE[4:]


@hypothesis.given(
    hidden=st.sampled_from(sorted(METRICS)),
    how=st.sampled_from(HIDING),
    noise=st.lists(st.sampled_from(NOISE), max_size=4),
    form=st.sampled_from(["names", "names through FILL", "queries", "searches"]),
    data=st.data(),
)
@hypothesis.settings(max_examples=60, deadline=None)
def test_a_metric_in_the_only_line_that_counts_is_hidden_by_any_fault(hidden, how, noise, form, data):
    rows = data.draw(st.permutations([*_rows(form, hidden, how), *noise]))
    found = coverage(dashboard(*rows))
    assert all(hidden not in metrics for metrics in found.shown.values())
    assert bool(found.not_understood) == any(row in NOT_UNDERSTOOD for row in noise)
    assert shown(dashboard(*data.draw(st.permutations([*_rows(form, hidden, {}), *noise])))) == ALL


def _rows(form: str, hidden: str, how: dict[str, object]) -> list[list[object]]:
    if form in ("queries", "searches"):
        whose = {"queries": f"WHERE AWS.AccountId = '{OTHER}'", "searches": f' :aws.AccountId="{OTHER}"'}[form]
        build = {"queries": queries, "searches": searches}[form]
        plain, foreign = build(), build(whose)
        return [foreign[at] if how and metric == hidden else plain[at] for at, metric in enumerate(METRICS)]
    rows: list[list[object]] = []
    for at, row in enumerate(by_name()):
        options = {**row[-1], **(how if row[1] == hidden else {})}
        if "stat" in how and hidden != "tool_latency_ms" and row[1] == hidden:
            options["stat"] = "p99"
        if form == "names" or options.get("visible") is False:
            rows.append([*row[:-1], options])
        else:
            rows += [
                [*row[:-1], {**options, "id": f"m{at}", "visible": False}],
                [{"expression": f"FILL(m{at}, 0)", "id": f"e{at}"}],
            ]
    return rows
