"""Search expressions, against the examples of CloudWatch's "search expression syntax"."""

import pytest

from phase5_ops.cloudwatch.metric_math import MathError, parse
from phase5_ops.cloudwatch.search_expression import SearchError, parse_search_text

NS = "CCNative/Execution"
BASE = {"tool_name": "internal.create_task", "connector_id": "internal"}


def found(text, name="x", namespace="MyNamespace", dimensions=None):
    return parse_search_text(text, "Sum").matches(namespace, name, dimensions or {})


def test_a_whole_expression_gives_statistic_period_and_schema():
    expression = parse(f"""SEARCH('{{"{NS}",tool_name,connector_id}} MetricName="tool_latency_ms"', 'p99', 300)""")
    search = parse_search_text(*expression.searches[0])
    assert (search.namespace, search.dimension_names, search.period) == (NS, {"tool_name", "connector_id"}, 300)
    assert search.statistic.percentile == 99
    assert search.matches(NS, "tool_latency_ms", BASE)
    assert not search.matches(NS, "tool_error", BASE)
    assert not search.matches(NS, "tool_latency_ms", BASE | {"tenant_id": "t1"})
    assert not search.matches(NS, "tool_latency_ms", {"tool_name": "internal.create_task"})
    assert not search.matches("Other", "tool_latency_ms", BASE)


def test_the_period_may_be_left_out_and_quotes_swapped():
    assert parse("""SEARCH("{AWS/EC2,InstanceId} CPUUtilization", "Average")""").searches == (
        ("{AWS/EC2,InstanceId} CPUUtilization", "Average", None),
    )


def test_a_schema_of_only_a_namespace_finds_any_dimensions():
    assert found("{MyNamespace}", dimensions={"a": "b"})
    assert found("{MyNamespace}")
    assert not found("{Other}")


@pytest.mark.parametrize("term", ["count", "Count", "COUNT", "CustomCount", "Count1", "customcount1", "1", "Custom"])
def test_partial_matches_of_the_guide(term):
    assert found(term, "CustomCount1")


@pytest.mark.parametrize("term", ["couNT", "customcount", "count1", "CustomCoun"])
def test_partial_misses_of_the_guide(term):
    assert not found(term, "CustomCount1")


@pytest.mark.parametrize("term", ["network/errors", "network+errors", "network-errors", "Network_Errors"])
@pytest.mark.parametrize("name", ["Network-Errors-2", "NetworkErrors2"])
def test_separators_make_a_composite_token(term, name):
    assert found(term, name)


@pytest.mark.parametrize(("term", "name"), [("sdb", "SDBFailure"), ("failure", "SDBFailure"), ("333", "Project2-trial333")])
def test_names_are_cut_at_capitals_digits_and_separators(term, name):
    assert found(term, name)


def test_exact_match_is_the_whole_string_in_its_case():
    assert found('{MyNamespace}, "CustomCount1"', "CustomCount1")
    assert found('"CustomCount1"', dimensions={"CustomCount1": "v"})
    assert not found('"customcount1"', "CustomCount1")
    assert not found('"Custom"', "CustomCount1")
    assert found(r'"Europe\\France Traffic\(Network\)"', r"Europe\France Traffic(Network)")


def test_designators_look_at_one_property():
    assert found("InstanceType=micro", dimensions={"InstanceType": "t2.micro"})
    assert not found("InstanceType=micro", "micro")
    assert found('InstanceType="t2.micro" Namespace="AWS/EC2"', namespace="AWS/EC2", dimensions={"InstanceType": "t2.micro"})
    assert found('MetricName=("a" OR "x")', "x")
    assert found(':aws.AccountId="LOCAL" MetricName="x"', "x")


OWN, OTHER = "111122223333", "444455556666"


@pytest.mark.parametrize(
    ("text", "own", "other", "unknown"),
    [
        ("x", True, True, True),
        (f':aws.AccountId="{OWN}" x', True, False, False),
        (f":aws.AccountId={OWN} x", True, False, False),
        (f':aws.AccountId="{OTHER}" x', False, True, False),
        (f':aws.AccountId=("{OTHER}" OR "{OWN}") x', True, True, False),
        (f'NOT :aws.AccountId="{OTHER}" x', True, False, False),
        (f'x OR :aws.AccountId="{OTHER}"', True, True, False),
        (':aws.AccountId="LOCAL" x', True, False, True),
        ("NOT :aws.AccountId=LOCAL x", False, True, False),
    ],
)
def test_the_account_that_a_search_names(text, own, other, unknown):
    search = parse_search_text(text, "Sum")
    assert search.matches("NS", "x", {}, account=OWN) is own
    assert search.matches("NS", "x", {}, account=OTHER, foreign=True) is other
    assert search.matches("NS", "x", {}) is unknown
    assert search.finds_others("NS", "x", {}, OWN) is (other and OTHER in search.accounts)


def test_part_of_a_number_is_another_account():
    search = parse_search_text(f':aws.AccountId="{OWN[:-1]}" x', "Sum")
    assert not search.matches("NS", "x", {}, account=OWN)
    assert search.finds_others("NS", "x", {}, OWN)


@pytest.mark.parametrize("text", [':aws.Region="us-west-2"', ":aws.accountid=1 x", ':other="x"'])
def test_a_designator_that_is_not_known_is_refused(text):
    with pytest.raises(SearchError):
        parse_search_text(text, "Sum")


def test_boolean_operators():
    text = '{AWS/Lambda,FunctionName} MetricName="Errors" OR (MetricName="Invocations" AND (ProjectA OR ProjectB))'
    search = parse_search_text(text, "Average")
    assert search.matches("AWS/Lambda", "Errors", {"FunctionName": "f"})
    assert search.matches("AWS/Lambda", "Invocations", {"FunctionName": "ProjectB-f"})
    assert not search.matches("AWS/Lambda", "Invocations", {"FunctionName": "f"})
    assert found('{MyNamespace} MetricName="x" NOT "a" NOT "b"', dimensions={"d": "c"})
    assert not found('{MyNamespace} MetricName="x" NOT "a" NOT "b"', dimensions={"d": "b"})
    assert not found("NOT Namespace=AWS", namespace="AWS/EC2")
    assert found("NOT Namespace=AWS", namespace="Custom")


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "{a,}", "(a", "a)", "a OR", "NOT", "MetricName=", "x" * 1025, "(" * 100, '"open']
)
def test_what_is_not_a_search_is_refused(text):
    with pytest.raises(SearchError):
        parse_search_text(text, "Sum")


@pytest.mark.parametrize("text", ["SEARCH('{A}')", "SEARCH('{A}', 'Bogus', 300)"])
def test_a_search_without_a_known_statistic_is_refused(text):
    with pytest.raises((MathError, SearchError)):
        parse_search_text(*parse(text).searches[0])
