"""A sandbox whose data is copied holds what the product puts in, and nothing of what happened in the one before."""

import re

import pytest

from phase5_ops.sandbox import seed
from phase5_ops.sandbox.aws import cloudwatch
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import EVENT_BUS, InsideAws
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.records import LEDGER, table_specs
from phase5_ops_tests.conftest import NOW
from phase5_ops_tests.sandbox.state import seeded_once

_DRAWN = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # ids that each sandbox draws
#: What says when, by the machine's clock, or is an id that each draws.
_OF_ONE_TIME = {"ResponseMetadata", "CreateDate", "RoleId", "creationTime", "ingestionTime", "eventId", "LastUpdatedTime"}
_STAMPS = {
    "StateUpdatedTimestamp",
    "StateTransitionedTimestamp",
    "AlarmConfigurationUpdatedTimestamp",
    "LastModified",
    "CreationTime",
    "LastModifiedTime",
}


def _said(answer):
    """An answer without what differs from one sandbox to the next, whoever puts it in."""
    if isinstance(answer, dict):
        return {key: _said(value) for key, value in answer.items() if key not in _OF_ONE_TIME | _STAMPS}
    if isinstance(answer, list):
        return [_said(value) for value in answer]
    return _DRAWN.sub("id", answer) if isinstance(answer, str) else answer


def _held(aws: InsideAws, region: str) -> dict:
    """All that is copied, as AWS answers it; of the metrics, what the store holds."""
    alarms, sns, logs = aws.client("cloudwatch"), aws.client("sns"), aws.client("logs")
    iam, events = aws.client("iam"), aws.client("events")
    roles = sorted(role["RoleName"] for role in iam.list_roles()["Roles"])  # AWS sorts them by their drawn ids
    rules = events.list_rules(EventBusName=EVENT_BUS)["Rules"]
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    dashboards = [each["DashboardName"] for each in alarms.list_dashboards()["DashboardEntries"]]
    store = cloudwatch.store(region)
    return {
        "items": {spec["name"]: aws.dynamodb.scan(TableName=spec["name"])["Items"] for spec in table_specs()},
        "tables": [_said(_table(aws, spec["name"])) for spec in table_specs()],
        "alarms": _said(alarms.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])),
        "dashboards": [_said(alarms.get_dashboard(DashboardName=name)) for name in dashboards],
        "topics": [_said(sns.get_topic_attributes(TopicArn=topic)) for topic in topics],
        "subscriptions": _said(sns.list_subscriptions()),
        "logs": [
            _said(logs.filter_log_events(logGroupName=group["logGroupName"], limit=10_000))
            for group in logs.describe_log_groups()["logGroups"]
        ],
        "roles": [(name, _said(iam.get_role_policy(RoleName=name, PolicyName="data"))) for name in roles],
        "budgets": _said(aws.client("budgets").describe_budgets(AccountId=ACCOUNT)),
        "rules": _said(rules),
        "targets": [events.list_targets_by_rule(Rule=rule["Name"], EventBusName=EVENT_BUS)["Targets"] for rule in rules],
        "metrics": {
            (key, dimensions): (series.newest, series.rows().tolist())
            for key, family in store._series.items()
            for dimensions, series in family.items()
        },
        "units": store._units,
    }


def _same(held: dict, expected: dict) -> None:
    assert held.keys() == expected.keys()
    for part, content in expected.items():
        assert held[part] == content, part


def _table(aws: InsideAws, name: str) -> dict:
    described = aws.dynamodb.describe_table(TableName=name)["Table"]
    described.pop("CreationDateTime")
    return {**described, "ttl": aws.dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]}


@pytest.mark.parametrize("scenario", ["healthy", "breaker-open"])
def test_a_copy_holds_what_the_product_puts_in(scenario, monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", NOW)
    with monkeypatch.context() as patch:
        for name in ("_seed_data", "_seed_table", "rows_of"):
            patch.setattr(seed, name, getattr(seeded_once, name if name.startswith("_") else f"_{name}"))
        with Sandbox(scenario) as sandbox:
            by_the_product = _held(sandbox.inside, sandbox.region)
    with Sandbox(scenario) as sandbox:  # puts in, or is a copy if another test put in
        _same(_held(sandbox.inside, sandbox.region), by_the_product)

    def never(*_):
        raise AssertionError("the data is put in once more")

    monkeypatch.setattr(seeded_once, "_seed_data", never)
    with Sandbox(scenario) as sandbox:
        _same(_held(sandbox.inside, sandbox.region), by_the_product)
    assert by_the_product["items"][LEDGER]
    assert by_the_product["metrics"]
    assert by_the_product["alarms"]["MetricAlarms"]


def test_what_one_sandbox_changes_is_not_in_the_next(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", NOW)
    with Sandbox("healthy") as sandbox:
        before = _held(sandbox.inside, sandbox.region)
        aws = sandbox.inside
        aws.dynamodb.delete_table(TableName=LEDGER)
        aws.client("cloudwatch").delete_alarms(AlarmNames=[before["alarms"]["MetricAlarms"][0]["AlarmName"]])
        aws.client("iam").delete_role_policy(RoleName=before["roles"][0][0], PolicyName="data")
        aws.client("sns").create_topic(Name="another")
        key = next(iter(before["metrics"]))
        cloudwatch.store(sandbox.region)._series[key[0]][key[1]].add([(0.0, 1.0, 1.0, 1.0, 1.0, 0.0)])
    with Sandbox("healthy") as sandbox:
        _same(_held(sandbox.inside, sandbox.region), before)


def test_each_sandbox_has_its_own_keys_and_users(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", NOW)
    made = []
    for _ in range(2):
        with Sandbox("healthy") as sandbox:
            keys = {key["KeyArn"] for key in sandbox.inside.client("kms").list_keys()["Keys"]}
            made.append((keys, sandbox.platform.pool.id, sandbox.platform.pool.passwords))
    assert len(made[0][0]) == 4
    assert not made[0][0] & made[1][0]
    assert made[0][1:] != made[1][1:]
