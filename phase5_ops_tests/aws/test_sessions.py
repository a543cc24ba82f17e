"""Sessions: answers are as botocore reads them, strictly and once; what a client calls itself follows the features of a call."""

import json

import pytest
from botocore.context import start_as_current_context
from botocore.parsers import JSONParser
from botocore.session import get_session
from botocore.useragent import UserAgentString, register_feature_id
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.aws.sessions import UnreadableAnswer, _Parsers, _UserAgent

DYNAMODB = get_session().get_service_model("dynamodb")

texts = st.text(max_size=5)
leaves = st.one_of(
    st.fixed_dictionaries({"S": texts}),
    st.fixed_dictionaries({"N": st.integers().map(str)}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.just({"NULL": True}),
    st.just({"B": "AQID"}),
    st.fixed_dictionaries({"SS": st.lists(texts, max_size=2)}),
    st.just({"BS": ["AQID", "BA=="]}),
    st.sampled_from([{}, {"S": None}, {"S": "x", "N": "1"}, {"S": None, "N": "1"}, {"NEW": "x"}, {"M": None}]),
)
values = st.recursive(
    leaves,
    lambda inner: (
        st.fixed_dictionaries({"L": st.lists(st.none() | inner, max_size=3)})
        | st.fixed_dictionaries({"M": st.dictionaries(texts, st.none() | inner, max_size=3)})
    ),
    max_leaves=6,
)


def answer(content: object, status: int = 200) -> dict[str, object]:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return {"status_code": status, "headers": {"x-amzn-requestid": "1"}, "body": body, "context": {}}


def parsed(response: dict[str, object], operation: str = "Scan") -> object:
    return _Parsers().create_parser("json").parse(response, DYNAMODB.operation_model(operation).output_shape)


@given(st.lists(st.dictionaries(texts, st.none() | values, max_size=4), max_size=3))
def test_items_are_as_botocore_reads_them(items):
    response = answer({"Items": items, "Count": 3, "ScannedCount": None, "LastEvaluatedKey": {"pk": {"S": "x"}}, "New": 1})
    assert parsed(response) == JSONParser().parse(response, DYNAMODB.operation_model("Scan").output_shape)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"x"', b"<html>", b'{"Items": [', b"\xff"])
def test_a_success_that_is_no_object_is_refused_and_an_error_is_not(body):
    with pytest.raises(UnreadableAnswer, match="HTTP status 200"):
        parsed(answer(body))
    if body not in (b"null", b"[]", b'"x"', b"\xff"):  # of which botocore itself makes nothing
        assert parsed(answer(body, 400))["Error"]["Code"] == "400"


@pytest.mark.parametrize("body", [b"", b"null"])
def test_the_empty_answer_of_an_operation_without_an_output_is_taken(body):
    model = get_session().get_service_model("kms").operation_model("UpdateAlias")
    assert model.output_shape is None
    parser = _Parsers().create_parser("json")
    assert parser.parse(answer(body), model.output_shape).keys() == {"ResponseMetadata"}
    with pytest.raises(UnreadableAnswer):
        parser.parse(answer(b"<html>"), model.output_shape)


def test_a_client_calls_itself_by_the_features_of_each_call():
    ours, botocores = (kind.from_environment() for kind in (_UserAgent, UserAgentString))
    config = get_session().get_default_client_config()
    for agent in (ours, botocores):
        agent.set_session_config("Boto3", "1", "Session/1")
    pair = [agent.with_client_config(config) for agent in (ours, botocores)]
    for feature in (None, "WAITER", None, "PAGINATOR", "WAITER"):
        with start_as_current_context():
            if feature:
                register_feature_id(feature)
            assert pair[0].to_string() == pair[1].to_string()
    assert ours.with_client_config(config).to_string() == pair[1].to_string()


@pytest.mark.parametrize(
    ("service", "operation", "content", "named"),
    [
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": "none"}, "MetricAlarms"),
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [None]}, "null"),
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [5]}, "MetricAlarm of"),
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [{"ActionsEnabled": "no"}]}, "ActionsEnabled"),
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [{"EvaluationPeriods": "3"}]}, "EvaluationPeriods"),
        ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [{"AlarmName": ["x"]}]}, "AlarmName"),
        *(
            ("cloudwatch", "DescribeAlarms", {"MetricAlarms": [{"StateUpdatedTimestamp": time}]}, "time of the answer")
            for time in ("soon", "1e18", 1e18, 1e999)
        ),
        ("cloudwatch", "GetAlarmMuteRule", {"MuteTargets": ["x"]}, "MuteTargets"),
        ("ce", "GetCostAndUsage", {"ResultsByTime": [{"Total": []}]}, "Metrics"),
        ("dynamodb", "Scan", {"Items": ["x"]}, "AttributeMap"),
        ("dynamodb", "Query", {"Items": [{"pk": ["x"]}]}, "AttributeValue"),
        ("dynamodb", "Query", {"Items": [{"data": {"L": "x"}}]}, "ListAttributeValue"),
        ("dynamodb", "Query", {"Items": [{"data": {"L": ["x"]}}]}, "AttributeValue"),
    ],
)
def test_an_answer_of_another_shape_than_the_service_says_is_refused_by_name(service, operation, content, named):
    shape = get_session().get_service_model(service).operation_model(operation).output_shape
    with pytest.raises(UnreadableAnswer, match=named):
        _Parsers().create_parser("json").parse(answer(content), shape)


def test_an_answer_that_is_nested_too_deep_is_refused():
    with pytest.raises(UnreadableAnswer):
        parsed(answer(b'{"Items": ' + b"[" * 100_000))
