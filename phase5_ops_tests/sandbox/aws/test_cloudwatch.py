"""The sandbox's CloudWatch through boto3 over HTTP, where moto's own answers wrongly or not at all."""

import json
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from moto.cloudwatch.models import CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse

from phase5_ops.sandbox.aws import cloudwatch as moto_cloudwatch
from phase5_ops.sandbox.aws.clock import PlatformClock
from phase5_ops.sandbox.aws.faults import Faults
from phase5_ops.sandbox.aws.metric_store import MetricRow
from phase5_ops_tests.cloudwatch.test_alarm_evaluation import GUIDE
from phase5_ops_tests.sandbox.conftest import NOW, REGION

pytestmark = pytest.mark.slow

NS = "CCNative/Execution"
BASE = {"tool_name": "crm.create_task", "connector_id": "crm_salesforce"}
TENANT = BASE | {"tenant_id": "t-1"}
MINUTE = NOW.replace(second=0)


def ago(**delta):
    return MINUTE - timedelta(**delta)


def dims(dimensions):
    return [{"Name": name, "Value": value} for name, value in dimensions.items()]


def put(cloudwatch, name, values, dimensions=BASE, *, at=None, namespace=NS):
    data = [{"MetricName": name, "Dimensions": dims(dimensions), "Timestamp": at or ago(minutes=10), "Value": v} for v in values]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def stat(name, statistic="Sum", dimensions=BASE, *, key="m1", period=60, **more):
    metric = {"Namespace": NS, "MetricName": name, "Dimensions": dims(dimensions)}
    return {"Id": key, "MetricStat": {"Metric": metric, "Period": period, "Stat": statistic}, **more}


def math(expression, key="e1", **more):
    return {"Id": key, "Expression": expression, **more}


def data(cloudwatch, *queries, start=None, end=None, **more):
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=list(queries),
        StartTime=start or ago(hours=1),
        EndTime=end or MINUTE,
        ScanBy="TimestampAscending",
        **more,
    )
    return answer["MetricDataResults"]


def values(cloudwatch, *queries, **more):
    return [result["Values"] for result in data(cloudwatch, *queries, **more)]


def refused(call, **params):
    with pytest.raises(ClientError) as error:
        call(**params)
    return error.value.response["Error"]["Code"]


class TestPutMetricData:
    """What is taken, and what is refused."""

    def test_values_counts_and_statistic_sets(self, cloudwatch):
        at = ago(minutes=10)
        many = {"MetricName": "a", "Timestamp": at, "Values": [10, 20, 300], "Counts": [90, 9, 1]}
        sets = {"MetricName": "b", "Timestamp": at, "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}}
        entity = {
            "Entity": {"KeyAttributes": {"Type": "Service"}},
            "MetricData": [{"MetricName": "c", "Timestamp": at, "Value": 7}],
        }
        cloudwatch.put_metric_data(Namespace=NS, MetricData=[many, sets], EntityMetricData=[entity])
        queries = [stat("a", "SampleCount", {}), stat("b", "Average", {}, key="m2"), stat("c", "p50", {}, key="m3")]
        assert values(cloudwatch, *queries) == [[100], [2.5], [7]]
        assert values(cloudwatch, stat("b", "p50", {})) == [[]]

    @pytest.mark.parametrize(
        "datum",
        [
            {"Dimensions": dims({f"d{number}": "v" for number in range(31)})},
            {"Timestamp": NOW - timedelta(days=15)},
            {"Timestamp": NOW + timedelta(hours=3)},
        ],
    )
    def test_what_aws_refuses_is_refused(self, cloudwatch, datum):
        assert (
            refused(cloudwatch.put_metric_data, Namespace=NS, MetricData=[{"MetricName": "m", "Value": 1, **datum}])
            == "InvalidParameterValue"
        )
        assert cloudwatch.list_metrics()["Metrics"] == []

    def test_a_thousand_metrics_a_call(self, cloudwatch):
        many = [{"MetricName": "m", "Value": 1}] * 1001
        assert refused(cloudwatch.put_metric_data, Namespace=NS, MetricData=many) == "InvalidParameterValue"
        cloudwatch.put_metric_data(Namespace=NS, MetricData=many[:1000])

    def test_the_platform_clock_counts_and_not_the_wall(self, cloudwatch, clock):
        clock.move(days=-100)
        put(cloudwatch, "m", [1], at=clock.now())
        assert refused(cloudwatch.put_metric_data, Namespace=NS, MetricData=[{"MetricName": "m", "Timestamp": NOW, "Value": 1}])

    def test_a_replayed_platform_follows_its_data(self, aws, cloudwatch):
        clock = PlatformClock(replay=True)
        with moto_cloudwatch.installed(clock, aws.faults):
            assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
            put(cloudwatch, "m", [1], at=datetime(2024, 5, 1, tzinfo=UTC))
            put(cloudwatch, "m", [1], at=datetime(2024, 4, 1, tzinfo=UTC))
            assert clock.now() == datetime(2024, 5, 1, 0, 1, tzinfo=UTC)
            assert len(cloudwatch.list_metrics()["Metrics"]) == 1


class TestGetMetricData:
    """Identity, statistics, math, SEARCH, Metrics Insights, limits and pages."""

    def test_identity_is_namespace_name_and_dimension_set(self, cloudwatch):
        put(cloudwatch, "m", [1])
        put(cloudwatch, "m", [2], dict(reversed(BASE.items())))
        put(cloudwatch, "m", [10], TENANT)
        put(cloudwatch, "m", [100], namespace="Other")
        put(cloudwatch, "m", [1000], {})
        queries = [stat("m"), stat("m", dimensions=dict(reversed(BASE.items())), key="m2"), stat("m", dimensions={}, key="m3")]
        assert values(cloudwatch, *queries) == [[3], [3], [1000]]

    def test_periods_are_aligned_and_ordered_as_asked(self, cloudwatch):
        for minutes in (17, 12, 11, 3):
            put(cloudwatch, "m", [1], at=ago(minutes=minutes))
        query = stat("m", period=300)
        (ascending,) = data(cloudwatch, query)
        assert ascending["Timestamps"] == [ago(minutes=20), ago(minutes=15), ago(minutes=5)]
        assert ascending["Values"] == [1, 2, 1]
        default = cloudwatch.get_metric_data(MetricDataQueries=[query], StartTime=ago(hours=1), EndTime=MINUTE)
        assert default["MetricDataResults"][0]["Values"] == [1, 2, 1]
        assert default["MetricDataResults"][0]["Timestamps"] == [ago(minutes=5), ago(minutes=15), ago(minutes=20)]

    def test_the_guides_trimmed_bounds(self, cloudwatch):
        put(cloudwatch, "m", [150, 151, 1000, 1001])
        names = ["TM(150:1000)", "TC(150:1000)", "PR(:1000)", "p100", "TC(5000:)"]
        queries = [stat("m", name, key=f"m{number}") for number, name in enumerate(names)]
        assert values(cloudwatch, *queries) == [[575.5], [2], [75], [1001], []]

    def test_metric_math_over_hidden_metrics(self, cloudwatch):
        put(cloudwatch, "tool_error", [1], TENANT)
        put(cloudwatch, "tool_success", [1] * 19)
        put(cloudwatch, "tool_success", [1] * 4, at=ago(minutes=5))
        hidden = [
            stat("tool_error", dimensions=TENANT, key="bad", ReturnData=False),
            stat("tool_success", key="good", ReturnData=False),
        ]
        (rate,) = data(cloudwatch, *hidden, math("100 * bad / (bad + good)", Label="rate"))
        assert (rate["Id"], rate["Label"], rate["Values"]) == ("e1", "rate", [5, 0])
        (filled,) = values(cloudwatch, *hidden, math("FILL(bad, 0)"), start=ago(minutes=12), end=ago(minutes=8))
        assert filled == [0, 0, 1, 0]
        assert values(cloudwatch, *hidden, math("SUM(METRICS())"), math("e1 * PERIOD(good)", "e2")) == [[20, 4], [1200, 240]]

    def test_an_array_of_series_gives_one_result_each_under_one_id(self, cloudwatch):
        put(cloudwatch, "m", [1])
        put(cloudwatch, "m", [2], TENANT)
        put(cloudwatch, "n", [4])
        expression = f"""SEARCH('{{"{NS}",tool_name,connector_id}} MetricName="m" OR MetricName="n"', 'Sum', 60)"""
        found = data(cloudwatch, math(expression), math("SUM(e1)", "e2"))
        assert [(result["Id"], result["Values"]) for result in found] == [("e1", [1]), ("e1", [4]), ("e2", [5])]
        assert found[0]["Label"] == "crm_salesforce crm.create_task m"
        assert values(cloudwatch, math(f"SUM({expression}) * 10")) == [[50]]

    def test_metrics_insights(self, cloudwatch):
        put(cloudwatch, "m", [1])
        put(cloudwatch, "m", [2, 4], TENANT)
        put(cloudwatch, "m", [100], namespace="Other")

        def ask(sql):
            return [(r["Label"], r["Values"]) for r in data(cloudwatch, math(sql, Period=60))]

        assert ask(f'SELECT SUM(m) FROM "{NS}"') == [("e1", [7])]
        assert ask(f'SELECT COUNT(m) FROM SCHEMA("{NS}", tool_name, connector_id, tenant_id)') == [("e1", [2])]
        assert ask(f"SELECT MAX(m) FROM \"{NS}\" WHERE tenant_id = 't-1' GROUP BY tenant_id ORDER BY MAX() DESC LIMIT 5") == [
            ("t-1", [4])
        ]
        assert ask('SELECT SUM(m) FROM "Nowhere"') == [("e1", [])]

    def test_pages_of_points_with_partial_pieces(self, cloudwatch):
        for minutes in range(1, 8):
            put(cloudwatch, "m", [minutes], at=ago(minutes=minutes))
            put(cloudwatch, "n", [minutes], at=ago(minutes=minutes))
        ask = {
            "MetricDataQueries": [stat("m"), stat("n", key="m2")],
            "StartTime": ago(hours=1),
            "EndTime": MINUTE,
            "MaxDatapoints": 5,
        }
        pages, token = [], {}
        while True:
            answer = cloudwatch.get_metric_data(**ask, **token)
            pages.append([(r["Id"], len(r["Values"]), r["StatusCode"]) for r in answer["MetricDataResults"]])
            if "NextToken" not in answer:
                break
            token = {"NextToken": answer["NextToken"]}
        assert pages == [
            [("m1", 5, "PartialData")],
            [("m1", 2, "Complete"), ("m2", 3, "PartialData")],
            [("m2", 4, "Complete")],
        ]
        assert refused(cloudwatch.get_metric_data, **ask, NextToken="nonsense") == "InvalidNextToken"

    def test_without_maxdatapoints_a_page_has_100800_points(self, cloudwatch):
        begin = int(ago(days=10).timestamp())
        rows = [MetricRow(at, 1, 1, 1, 1) for at in range(begin, begin + 60 * 14_000, 60)]
        metrics = moto_cloudwatch.store(REGION)
        for number in range(8):
            metrics.put(NS, "m", {"n": str(number)}, rows)
        queries = [stat("m", dimensions={"n": str(number)}, key=f"m{number}") for number in range(8)]
        paginator = cloudwatch.get_paginator("get_metric_data")
        counts = [
            sum(len(result["Values"]) for result in page["MetricDataResults"])
            for page in paginator.paginate(MetricDataQueries=queries, StartTime=ago(days=11), EndTime=MINUTE)
        ]
        assert counts == [100_800, 8 * 14_000 - 100_800]

    @pytest.mark.parametrize(
        "queries",
        [
            [stat("m", key=f"m{number}") for number in range(501)],
            [stat("m"), stat("m")],
            [stat("m", key="Upper")],
            [stat("m", period=61)],
            [stat("m", "bogus")],
            [stat("m", ReturnData=False)],
            [math("m9 + 1")],
            [math("SUM(")],
            [math("e2 * 2", "e1"), math("e1 * 2", "e2")],
            [math("SELECT SUM(m) FROM x")],
            [{"Id": "x"}],
        ],
    )
    def test_what_aws_refuses_is_refused(self, cloudwatch, queries):
        ask = {"MetricDataQueries": queries, "StartTime": ago(hours=1), "EndTime": MINUTE}
        assert refused(cloudwatch.get_metric_data, **ask) == "ValidationError"

    def test_an_end_before_the_start_is_refused(self, cloudwatch):
        ask = {"MetricDataQueries": [stat("m")], "StartTime": MINUTE, "EndTime": MINUTE}
        assert refused(cloudwatch.get_metric_data, **ask) == "ValidationError"

    @pytest.mark.parametrize(
        ("kind", "status", "seen"),
        [("partial", "PartialData", [1]), ("internal_error", "InternalError", []), ("forbidden", "Forbidden", [])],
    )
    def test_statuses_to_order(self, aws, cloudwatch, kind, status, seen):
        put(cloudwatch, "m", [1])
        put(cloudwatch, "m", [1], at=ago(minutes=5))
        put(cloudwatch, "n", [1])
        aws.faults.add(kind, operation="GetMetricData", match='"MetricName": "m"')
        first, second = data(cloudwatch, stat("m"), stat("n", key="m2"))
        assert (first["StatusCode"], first["Values"]) == (status, seen)
        assert (second["StatusCode"], second["Values"]) == ("Complete", [1])

    def test_messages_to_order(self, aws, cloudwatch):
        aws.faults.add("message", operation="GetMetricData", times=1)
        answer = cloudwatch.get_metric_data(MetricDataQueries=[stat("m")], StartTime=ago(hours=1), EndTime=MINUTE)
        assert answer["Messages"][0]["Code"] == "MaxMetricsExceeded"

    def test_a_bad_page_of_data(self, aws, cloudwatch):
        for minutes in range(1, 4):
            put(cloudwatch, "m", [1], at=ago(minutes=minutes))
        aws.faults.add("bad_page", operation="GetMetricData")
        paginator = cloudwatch.get_paginator("get_metric_data")
        pages = iter(paginator.paginate(MetricDataQueries=[stat("m")], StartTime=ago(hours=1), EndTime=MINUTE, MaxDatapoints=2))
        next(pages)
        with pytest.raises(ClientError):
            next(pages)


class TestOtherReads:
    """GetMetricStatistics, ListMetrics and dashboards."""

    def test_get_metric_statistics_with_extended_statistics(self, cloudwatch):
        put(cloudwatch, "m", [1, 3])
        ask = {"Namespace": NS, "MetricName": "m", "Dimensions": dims(BASE), "StartTime": ago(hours=1), "EndTime": MINUTE}
        answer = cloudwatch.get_metric_statistics(
            **ask, Period=60, Statistics=["Sum", "Average"], ExtendedStatistics=["p50", "TC(:1)"]
        )
        (point,) = answer["Datapoints"]
        assert (point["Timestamp"], point["Sum"], point["Average"], point["Unit"]) == (ago(minutes=10), 4, 2, "None")
        assert point["ExtendedStatistics"] == {"p50": 2, "TC(:1)": 1}
        assert refused(cloudwatch.get_metric_statistics, **ask, Period=60) == "InvalidParameterCombination"
        assert refused(cloudwatch.get_metric_statistics, **ask, Period=1, Statistics=["Sum"]) == "InvalidParameterCombination"
        assert refused(cloudwatch.get_metric_statistics, **ask, Period=60, ExtendedStatistics=["x"]) == "InvalidParameterValue"

    def test_list_metrics_has_one_row_a_series(self, cloudwatch):
        for _ in range(3):
            put(cloudwatch, "m", [1, 2])
            put(cloudwatch, "m", [1], TENANT)
        put(cloudwatch, "n", [1], namespace="Other")

        def names(**ask):
            return [(m["MetricName"], len(m["Dimensions"])) for m in cloudwatch.list_metrics(**ask)["Metrics"]]

        assert sorted(names()) == [("m", 2), ("m", 3), ("n", 2)]
        assert names(Namespace=NS, Dimensions=[{"Name": "tenant_id"}]) == [("m", 3)]
        assert names(Dimensions=[{"Name": "tenant_id", "Value": "t-2"}]) == []
        assert names(MetricName="n") == [("n", 2)]

    def test_list_metrics_pages_by_500(self, cloudwatch):
        metrics = moto_cloudwatch.store(REGION)
        for number in range(1001):
            metrics.put(NS, "m", {"n": f"{number:04}"}, [MetricRow(int(NOW.timestamp()) - 60, 1, 1, 1, 1)])
        pages = [page["Metrics"] for page in cloudwatch.get_paginator("list_metrics").paginate()]
        assert [len(page) for page in pages] == [500, 500, 1]
        assert len({metric["Dimensions"][0]["Value"] for page in pages for metric in page}) == 1001

    def test_list_metrics_forgets_by_the_platform_clock(self, cloudwatch, clock):
        put(cloudwatch, "m", [1])
        assert len(cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"]) == 1
        clock.move(hours=4)
        assert cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"] == []
        assert len(cloudwatch.list_metrics()["Metrics"]) == 1
        clock.move(days=14)
        assert cloudwatch.list_metrics()["Metrics"] == []

    def test_dashboards_bear_the_platform_time(self, cloudwatch):
        body = json.dumps({"widgets": []})
        cloudwatch.put_dashboard(DashboardName="tools", DashboardBody=body)
        (entry,) = cloudwatch.list_dashboards()["DashboardEntries"]
        assert (entry["DashboardName"], entry["LastModified"], entry["Size"]) == ("tools", NOW, len(body))
        assert cloudwatch.get_dashboard(DashboardName="tools")["DashboardBody"] == body
        assert refused(cloudwatch.get_dashboard, DashboardName="none") in ("ResourceNotFound", "DashboardNotFoundError")


ALARM = {
    "AlarmName": "a",
    "Namespace": NS,
    "MetricName": "m",
    "Dimensions": dims(BASE),
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 3,
    "Threshold": 5.0,
    "ComparisonOperator": "GreaterThanThreshold",
}


def state(cloudwatch, name="a", **ask):
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name], **ask)["MetricAlarms"]
    return alarm["StateValue"]


class TestMetricAlarms:
    """Storage, listing and evaluation."""

    def test_every_field_is_described_back(self, cloudwatch):
        fields = ALARM | {
            "AlarmDescription": "text",
            "ActionsEnabled": False,
            "OKActions": ["arn:aws:sns:us-west-2:1:ok"],
            "AlarmActions": ["arn:aws:sns:us-west-2:1:alarm"],
            "InsufficientDataActions": ["arn:aws:sns:us-west-2:1:no"],
            "Unit": "Count",
            "DatapointsToAlarm": 2,
            "TreatMissingData": "ignore",
            "EvaluateLowSampleCountPercentile": "ignore",
            "ExtendedStatistic": "PR(:300)",
        }
        del fields["Statistic"]
        cloudwatch.put_metric_alarm(**fields, Tags=[{"Key": "team", "Value": "sre"}])
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert {key: alarm[key] for key in fields} == fields
        assert alarm["AlarmArn"] == f"arn:aws:cloudwatch:{REGION}:123456789012:alarm:a"
        assert cloudwatch.list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"] == [{"Key": "team", "Value": "sre"}]

    def test_queries_of_an_alarm_are_described_back(self, cloudwatch):
        queries = [stat("m", ReturnData=False), math("m1 * 2", Label="x", ReturnData=True)]
        common = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
        cloudwatch.put_metric_alarm(AlarmName="a", Metrics=queries, ThresholdMetricId="e1", **common)
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert alarm["Metrics"] == queries
        assert (alarm["ThresholdMetricId"], alarm["EvaluationState"]) == ("e1", "EVALUATION_ERROR")

    def test_a_new_alarm_without_data(self, cloudwatch):
        cloudwatch.put_metric_alarm(**ALARM)
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert alarm["StateValue"] == "INSUFFICIENT_DATA"
        assert alarm["AlarmConfigurationUpdatedTimestamp"] == NOW
        assert alarm["ActionsEnabled"]

    @pytest.mark.parametrize(("points", "to_alarm", "expected"), GUIDE)
    def test_missing_data_as_the_guide_tabulates_it(self, cloudwatch, points, to_alarm, expected):
        for index, point in enumerate(points):
            if point != "-":
                put(cloudwatch, "m", [10 if point == "X" else 0], at=ago(minutes=5 - index))
        treatments = ("missing", "ignore", "breaching", "notBreaching")
        for name in treatments:
            alarm = ALARM | {"AlarmName": name, "TreatMissingData": name, "DatapointsToAlarm": to_alarm}
            cloudwatch.put_metric_alarm(**alarm)
        wanted = [state or "INSUFFICIENT_DATA" for state in expected]  # None keeps the state that it began with
        assert [state(cloudwatch, name) for name in treatments] == wanted

    @pytest.mark.parametrize(
        ("operator", "value", "breached"),
        [
            ("GreaterThanThreshold", 5, False),
            ("GreaterThanOrEqualToThreshold", 5, True),
            ("LessThanThreshold", 5, False),
            ("LessThanOrEqualToThreshold", 5, True),
            ("LessThanThreshold", 4, True),
        ],
    )
    def test_comparisons(self, cloudwatch, operator, value, breached):
        put(cloudwatch, "m", [value], at=ago(minutes=1))
        cloudwatch.put_metric_alarm(**ALARM | {"EvaluationPeriods": 1, "ComparisonOperator": operator})
        assert state(cloudwatch) == ("ALARM" if breached else "OK")

    def test_an_alarm_follows_the_platform_clock(self, cloudwatch, clock):
        cloudwatch.put_metric_alarm(**ALARM | {"EvaluationPeriods": 1, "TreatMissingData": "notBreaching"})
        assert state(cloudwatch) == "OK"
        clock.move(minutes=2)
        put(cloudwatch, "m", [9], at=clock.now() - timedelta(minutes=1))
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert alarm["StateValue"] == "ALARM"
        assert alarm["StateUpdatedTimestamp"] == MINUTE + timedelta(minutes=2)
        assert "1 out of the last 1 datapoints" in alarm["StateReason"]
        assert json.loads(alarm["StateReasonData"])["recentDatapoints"] == [9]
        clock.move(hours=1)
        assert state(cloudwatch) == "OK"
        history = cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        assert [item["HistorySummary"].removeprefix("Alarm updated from ") for item in history] == [
            "ALARM to OK",
            "OK to ALARM",
            "INSUFFICIENT_DATA to OK",
        ]
        for by_hand in ("ALARM", "OK"):
            cloudwatch.set_alarm_state(AlarmName="a", StateValue=by_hand, StateReason="tried")
        newest, before = cloudwatch.describe_alarm_history(AlarmName="a")["AlarmHistoryItems"][:2]
        assert newest["Timestamp"] == before["Timestamp"]
        assert [item["HistorySummary"].removeprefix("Alarm updated from ") for item in (newest, before)] == [
            "ALARM to OK",
            "OK to ALARM",
        ]

    @pytest.mark.parametrize(("statistic", "limit", "alarmed"), [("p99", 90, True), ("PR(:90)", 95, False), ("tm50", 90, False)])
    def test_extended_statistics(self, cloudwatch, statistic, limit, alarmed):
        put(cloudwatch, "m", list(range(100)), at=ago(minutes=1))
        changes = {"EvaluationPeriods": 1, "ExtendedStatistic": statistic, "Threshold": limit}
        cloudwatch.put_metric_alarm(**{key: value for key, value in ALARM.items() if key != "Statistic"} | changes)
        assert state(cloudwatch) == ("ALARM" if alarmed else "OK")

    @pytest.mark.parametrize(("samples", "expected"), [(999, "INSUFFICIENT_DATA"), (1000, "ALARM")])
    def test_low_samples_can_be_ignored(self, cloudwatch, samples, expected):
        """p99 needs 10/(1-0.99) = 1000 samples a period."""
        datum = {"MetricName": "m", "Dimensions": dims(BASE), "Timestamp": ago(minutes=1), "Values": [9.0], "Counts": [samples]}
        cloudwatch.put_metric_data(Namespace=NS, MetricData=[datum])
        changes = {"EvaluationPeriods": 1, "ExtendedStatistic": "p99", "EvaluateLowSampleCountPercentile": "ignore"}
        cloudwatch.put_metric_alarm(**{key: value for key, value in ALARM.items() if key != "Statistic"} | changes)
        assert state(cloudwatch) == expected

    def test_math_and_insights(self, cloudwatch):
        put(cloudwatch, "tool_error", [1], TENANT, at=ago(minutes=1))
        put(cloudwatch, "tool_success", [1] * 9, at=ago(minutes=1))
        rate = [
            stat("tool_error", dimensions=TENANT, key="bad", ReturnData=False),
            stat("tool_success", key="good", ReturnData=False),
            math("100 * FILL(bad, 0) / (FILL(bad, 0) + good)", ReturnData=True),
        ]
        common = {"EvaluationPeriods": 1, "ComparisonOperator": "GreaterThanThreshold"}
        cloudwatch.put_metric_alarm(AlarmName="rate", Metrics=rate, Threshold=9.9, **common)
        cloudwatch.put_metric_alarm(AlarmName="lax", Metrics=rate, Threshold=10, **common)
        sql = f'SELECT SUM(tool_error) FROM "{NS}" GROUP BY tenant_id'
        cloudwatch.put_metric_alarm(AlarmName="sql", Metrics=[math(sql, Period=60)], Threshold=0, **common)
        assert [state(cloudwatch, name) for name in ("rate", "lax", "sql")] == ["ALARM", "OK", "ALARM"]

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [("partial", "PARTIAL_DATA"), ("internal_error", "EVALUATION_FAILURE"), ("forbidden", "EVALUATION_ERROR")],
    )
    def test_evaluation_states_to_order(self, aws, cloudwatch, kind, expected):
        cloudwatch.put_metric_alarm(**ALARM)
        aws.faults.add(kind, operation="EvaluateAlarm", match="a")
        assert cloudwatch.describe_alarms()["MetricAlarms"][0]["EvaluationState"] == expected

    def test_a_state_set_by_hand_stays(self, cloudwatch, clock):
        cloudwatch.put_metric_alarm(**ALARM)
        cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="drill", StateReasonData='{"x": 1}')
        clock.move(hours=1)
        (alarm,) = cloudwatch.describe_alarms()["MetricAlarms"]
        assert (alarm["StateValue"], alarm["StateReason"], alarm["StateUpdatedTimestamp"]) == ("ALARM", "drill", NOW)
        assert refused(cloudwatch.set_alarm_state, AlarmName="z", StateValue="OK", StateReason="x") in (
            "ResourceNotFound",
            "ResourceNotFoundException",
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"DatapointsToAlarm": 4},
            {"ExtendedStatistic": "p99"},
            {"TreatMissingData": "maybe"},
            {"Metrics": [stat("m")]},
            {"EvaluateLowSampleCountPercentile": "x"},
            {"MetricName": ""},
        ],
    )
    def test_what_aws_refuses_is_refused(self, cloudwatch, change):
        with pytest.raises(Exception, match=r"Validation|validation|Invalid"):
            cloudwatch.put_metric_alarm(**ALARM | change)

    def test_search_and_too_many_metrics_are_refused_in_alarms(self, cloudwatch):
        common = {"AlarmName": "a", "EvaluationPeriods": 1, "Threshold": 1, "ComparisonOperator": "GreaterThanThreshold"}
        search = [math("SUM(SEARCH('{A} x', 'Sum', 60))")]
        many = [stat("m", key=f"m{number}", ReturnData=False) for number in range(11)] + [math("SUM(METRICS())")]
        for queries in (search, many):
            assert refused(cloudwatch.put_metric_alarm, Metrics=queries, **common) == "ValidationError"


class TestListingAlarms:
    """DescribeAlarms' filters and pages, composites, mute rules."""

    def test_filters_combine(self, cloudwatch):
        for name in ("slo-a", "slo-b", "other"):
            cloudwatch.put_metric_alarm(**ALARM | {"AlarmName": name, "AlarmActions": [f"arn:aws:sns:us-west-2:1:{name}"]})
        cloudwatch.set_alarm_state(AlarmName="slo-b", StateValue="ALARM", StateReason="x")
        cloudwatch.set_alarm_state(AlarmName="other", StateValue="ALARM", StateReason="x")

        def names(**ask):
            return [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms(**ask)["MetricAlarms"]]

        assert names() == ["other", "slo-a", "slo-b"]
        assert names(AlarmNamePrefix="slo-", StateValue="ALARM") == ["slo-b"]
        assert names(AlarmNames=["slo-a", "other"]) == ["other", "slo-a"]
        assert names(ActionPrefix="arn:aws:sns:us-west-2:1:slo") == ["slo-a", "slo-b"]
        assert names(AlarmTypes=["CompositeAlarm"]) == []
        found = cloudwatch.describe_alarms_for_metric(Namespace=NS, MetricName="m", Dimensions=dims(BASE))["MetricAlarms"]
        assert len(found) == 3
        assert cloudwatch.describe_alarms_for_metric(Namespace=NS, MetricName="m")["MetricAlarms"] == []

    def test_pages(self, cloudwatch):
        for number in range(7):
            cloudwatch.put_metric_alarm(**ALARM | {"AlarmName": f"a{number}"})
        paginator = cloudwatch.get_paginator("describe_alarms")
        pages = [[a["AlarmName"] for a in page["MetricAlarms"]] for page in paginator.paginate(PaginationConfig={"PageSize": 3})]
        assert pages == [["a0", "a1", "a2"], ["a3", "a4", "a5"], ["a6"]]
        assert refused(cloudwatch.describe_alarms, NextToken="x") == "InvalidNextToken"

    def test_actions_are_switched_and_alarms_deleted(self, cloudwatch):
        cloudwatch.put_metric_alarm(**ALARM)
        cloudwatch.disable_alarm_actions(AlarmNames=["a"])
        assert not cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"]
        cloudwatch.enable_alarm_actions(AlarmNames=["a"])
        assert cloudwatch.describe_alarms()["MetricAlarms"][0]["ActionsEnabled"]
        cloudwatch.delete_alarms(AlarmNames=["a"])
        assert cloudwatch.describe_alarms()["MetricAlarms"] == []

    def test_composites_are_listed_only_when_asked_and_follow_their_rule(self, cloudwatch):
        for name in ("a", "b", "quiet"):
            cloudwatch.put_metric_alarm(**ALARM | {"AlarmName": name})
        cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="x")
        cloudwatch.put_composite_alarm(AlarmName="outer", AlarmRule="OK(b)")
        cloudwatch.put_composite_alarm(AlarmName="both", AlarmRule="ALARM(a) AND ALARM(b)")
        cloudwatch.put_composite_alarm(AlarmName="any", AlarmRule='ALARM("a") OR ALARM(b)', ActionsSuppressor="quiet")
        cloudwatch.put_composite_alarm(AlarmName="outer", AlarmRule="ALARM(any) AND NOT ALARM(both)")
        assert cloudwatch.describe_alarms()["CompositeAlarms"] == []

        def composites(**ask):
            found = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm", "MetricAlarm"], **ask)["CompositeAlarms"]
            return {alarm["AlarmName"]: (alarm["StateValue"], alarm.get("ActionsSuppressedBy")) for alarm in found}

        assert composites() == {"any": ("ALARM", None), "both": ("OK", None), "outer": ("ALARM", None)}
        cloudwatch.set_alarm_state(AlarmName="quiet", StateValue="ALARM", StateReason="x")
        assert composites(AlarmNames=["any"]) == {"any": ("ALARM", "Alarm")}
        assert composites(ParentsOfAlarmName="a") == {"any": ("ALARM", "Alarm"), "both": ("OK", None)}
        children = cloudwatch.describe_alarms(ChildrenOfAlarmName="any")["MetricAlarms"]
        assert [alarm["AlarmName"] for alarm in children] == ["a", "b"]
        assert refused(cloudwatch.put_composite_alarm, AlarmName="x", AlarmRule="ALARM(nowhere)") == "ValidationError"
        assert refused(cloudwatch.put_composite_alarm, AlarmName="x", AlarmRule="ALARM(") == "ValidationError"

    @pytest.mark.parametrize(
        ("schedule", "status"),
        [
            ({"Expression": "at(2026-11-23T11:30)", "Duration": "PT1H"}, "ACTIVE"),
            ({"Expression": "at(2026-11-23T09:30)", "Duration": "PT1H"}, "EXPIRED"),
            ({"Expression": "at(2026-11-24T09:30)", "Duration": "PT1H"}, "SCHEDULED"),
            ({"Expression": "at(2026-11-23T04:30)", "Duration": "PT1H", "Timezone": "America/Los_Angeles"}, "SCHEDULED"),
            ({"Expression": "at(2026-11-23T03:30)", "Duration": "PT1H", "Timezone": "America/Los_Angeles"}, "ACTIVE"),
            ({"Expression": "cron(30 11 * * MON)", "Duration": "PT1H"}, "ACTIVE"),
            ({"Expression": "cron(30 11 * * TUE-FRI)", "Duration": "PT1H"}, "SCHEDULED"),
            ({"Expression": "cron(*/15 * * * ?)", "Duration": "PT10M"}, "ACTIVE"),
            ({"Expression": "cron(0 2 * * *)", "Duration": "P1D"}, "ACTIVE"),
        ],
    )
    def test_mute_rules_know_whether_they_are_active(self, cloudwatch, schedule, status):
        cloudwatch.put_alarm_mute_rule(Name="night", Rule={"Schedule": schedule}, MuteTargets={"AlarmNames": ["a", "b"]})
        (summary,) = cloudwatch.list_alarm_mute_rules(AlarmName="a")["AlarmMuteRuleSummaries"]
        assert summary["Status"] == status
        assert summary["AlarmMuteRuleArn"].endswith(":alarm-mute-rule:night")
        rule = cloudwatch.get_alarm_mute_rule(AlarmMuteRuleName="night")
        assert (rule["Name"], rule["Rule"]["Schedule"], rule["MuteTargets"]["AlarmNames"]) == ("night", schedule, ["a", "b"])
        assert cloudwatch.list_alarm_mute_rules(AlarmName="z")["AlarmMuteRuleSummaries"] == []
        assert len(cloudwatch.list_alarm_mute_rules(Statuses=[status])["AlarmMuteRuleSummaries"]) == 1
        cloudwatch.delete_alarm_mute_rule(AlarmMuteRuleName="night")
        assert cloudwatch.list_alarm_mute_rules()["AlarmMuteRuleSummaries"] == []

    def test_mute_rules_that_cannot_be_read_or_are_not_there(self, cloudwatch):
        for schedule in ({"Expression": "rate(1 hour)", "Duration": "PT1H"}, {"Expression": "cron(0 2 * *)", "Duration": "PT1H"}):
            assert refused(cloudwatch.put_alarm_mute_rule, Name="x", Rule={"Schedule": schedule}) == "ValidationError"
        assert refused(cloudwatch.get_alarm_mute_rule, AlarmMuteRuleName="x") == "ResourceNotFoundException"


def test_motos_reset_empties_everything(aws, cloudwatch):
    put(cloudwatch, "m", [1])
    cloudwatch.put_metric_alarm(**ALARM)
    urllib.request.urlopen(urllib.request.Request(f"{aws.endpoint}/moto-api/reset", method="POST")).close()
    assert cloudwatch.list_metrics()["Metrics"] == []
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_after_the_block_moto_has_its_own_back(clock):
    before = [dict(vars(each)) for each in (CloudWatchResponse, CloudWatchBackend)]
    with moto_cloudwatch.installed(clock, Faults()):
        assert [dict(vars(each)) for each in (CloudWatchResponse, CloudWatchBackend)] != before
    assert [dict(vars(each)) for each in (CloudWatchResponse, CloudWatchBackend)] == before
