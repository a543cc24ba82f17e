"""Puts a blueprint into a running sandbox endpoint: tables, items, alarms, topics, dashboards, user pool, log groups.

Everything goes through boto3 as on a real account, except metric data: it is older than PutMetricData accepts, so the server
puts it into the store itself.
"""

import json
from decimal import Decimal
from importlib.resources import files
from typing import Any

import boto3
from boto3.dynamodb.types import TypeSerializer

from phase5_ops.sandbox.blueprint import ACCOUNT, Blueprint, dashboard_body

LOG_GROUPS = tuple(
    f"/aws/lambda/cc-native-{name}"
    for name in (
        "execution-starter",
        "execution-validator",
        "tool-mapper",
        "tool-invoker",
        "execution-recorder",
        "execution-failure-recorder",
        "internal-adapter-handler",
        "crm-adapter-handler",
        "autonomy-admin-api",
        "decision-api-handler",
    )
)
EVENT_BUS = "cc-native-events"
USER_POOL = "cc-native-users"
REGISTRY_TABLE = "cc-native-action-type-registry"
RESILIENCE_TABLE = "cc-native-resilience"
TENANTS_TABLE = "cc-native-tenants"

_serialize = TypeSerializer().serialize
_BATCH = 25  # as many items as BatchWriteItem takes


def seed(session: boto3.Session, endpoint: str, blueprint: Blueprint) -> dict[str, str]:
    """Creates everything the blueprint says; returns settings that follow from it (user pool and client)."""

    def client(service: str) -> Any:  # noqa: ANN401 - boto3 clients have no static type
        return session.client(service, endpoint_url=endpoint)

    _seed_tables(client("dynamodb"), blueprint)
    _seed_alarms(client("cloudwatch"), client("sns"), blueprint)
    logs = client("logs")
    for group in LOG_GROUPS:
        logs.create_log_group(logGroupName=group)
    client("events").create_event_bus(Name=EVENT_BUS)
    _seed_budgets(client("budgets"), blueprint)
    return _seed_user_pool(client("cognito-idp"))


def _seed_tables(dynamodb: Any, blueprint: Blueprint) -> None:  # noqa: ANN401
    for spec in json.loads(files("phase5_ops.sandbox").joinpath("tables.json").read_text(encoding="utf-8")):
        if spec["name"] not in blueprint.missing_tables:
            _create_table(dynamodb, spec)
    items: list[tuple[str, dict[str, Any]]] = list(blueprint.raw_items)
    items += [(REGISTRY_TABLE, _item(_registry_item(action, tool))) for action, tool in sorted(blueprint.action_types.items())]
    items += [(TENANTS_TABLE, _item(tenant)) for tenant in blueprint.tenants]
    items += [(RESILIENCE_TABLE, _item(breaker)) for breaker in blueprint.breakers]
    for table, item in items:
        if table not in blueprint.missing_tables:
            dynamodb.put_item(TableName=table, Item=item)
    puts = [
        (table, {"PutRequest": {"Item": _item(item)}})
        for table, plain in blueprint.items.items()
        if table not in blueprint.missing_tables
        for item in plain
    ]
    for start in range(0, len(puts), _BATCH):
        requests: dict[str, list[dict[str, Any]]] = {}
        for table, put in puts[start : start + _BATCH]:
            requests.setdefault(table, []).append(put)
        dynamodb.batch_write_item(RequestItems=requests)


def _create_table(dynamodb: Any, spec: dict[str, Any]) -> None:  # noqa: ANN401
    keys = {"": spec["key"], **spec.get("indexes", {})}
    attributes = sorted({attribute for schema in keys.values() for attribute in schema})
    schemas = {
        name: [{"AttributeName": a, "KeyType": kind} for a, kind in zip(schema, ("HASH", "RANGE"), strict=False)]
        for name, schema in keys.items()
    }
    indexes = [
        {"IndexName": name, "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
        for name, schema in schemas.items()
        if name
    ]
    dynamodb.create_table(
        TableName=spec["name"],
        KeySchema=schemas[""],
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": spec.get("types", {}).get(a, "S")} for a in attributes],
        BillingMode="PAY_PER_REQUEST",
        **({"GlobalSecondaryIndexes": indexes} if indexes else {}),
    )
    if "ttl" in spec:
        dynamodb.update_time_to_live(
            TableName=spec["name"], TimeToLiveSpecification={"Enabled": True, "AttributeName": spec["ttl"]}
        )


def _registry_item(action_type: str, tool: str) -> dict[str, Any]:
    return {
        "pk": f"ACTION_TYPE#{action_type}",
        "sk": "REGISTRY_VERSION#1",
        "action_type": action_type,
        "tool_name": tool,
        "tool_schema_version": "v1.0",
        "registry_version": 1,
        "risk_class": "LOW",
    }


def _item(plain: dict[str, Any]) -> dict[str, Any]:
    return {name: _serialize(Decimal(str(value)) if isinstance(value, float) else value) for name, value in plain.items()}


def _seed_alarms(cloudwatch: Any, sns: Any, blueprint: Blueprint) -> None:  # noqa: ANN401
    for topic, addresses in blueprint.topics.items():
        arn = sns.create_topic(Name=topic)["TopicArn"]
        for address in addresses:
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)
    for alarm in blueprint.alarms:
        cloudwatch.put_metric_alarm(**alarm)
    for composite in blueprint.composites:
        cloudwatch.put_composite_alarm(**composite)
    for rule in blueprint.mute_rules:
        cloudwatch.put_alarm_mute_rule(**rule)
    for name, state in blueprint.alarm_states.items():
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by the scenario")
    for name, content in blueprint.dashboards.items():
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=dashboard_body(content))


def _seed_budgets(budgets: Any, blueprint: Blueprint) -> None:  # noqa: ANN401
    for name, addresses in blueprint.cost_budgets.items():
        notification = {
            "NotificationType": "ACTUAL",
            "ComparisonOperator": "GREATER_THAN",
            "Threshold": 80,
            "ThresholdType": "PERCENTAGE",
        }
        subscribers = [{"SubscriptionType": "EMAIL", "Address": address} for address in addresses]
        budgets.create_budget(
            AccountId=ACCOUNT,
            Budget={
                "BudgetName": name,
                "BudgetLimit": {"Amount": "1500", "Unit": "USD"},
                "TimeUnit": "MONTHLY",
                "BudgetType": "COST",
            },
            NotificationsWithSubscribers=[{"Notification": notification, "Subscribers": subscribers}] if addresses else [],
        )


def _seed_user_pool(cognito: Any) -> dict[str, str]:  # noqa: ANN401
    pool = cognito.create_user_pool(
        PoolName=USER_POOL,
        Schema=[{"Name": "tenant_id", "AttributeDataType": "String"}, {"Name": "account_ids", "AttributeDataType": "String"}],
    )["UserPool"]["Id"]
    created = cognito.create_user_pool_client(
        UserPoolId=pool, ClientName="cc-native-web", ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH"]
    )
    return {"PHASE5_USER_POOL_ID": pool, "PHASE5_USER_POOL_CLIENT_ID": created["UserPoolClient"]["ClientId"]}
