"""Puts a blueprint into a sandbox: metrics, tables, items, alarms, topics, dashboards, log groups, event rules, functions.

Everything goes through boto3 as on a real account, except metric data (it is older than PutMetricData accepts, so it is put into
the store itself) and functions (they are only looked at, so they need no package and no role).
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from moto.awslambda.models import LambdaFunction, lambda_backends

from phase5_ops.checklist import ROLES
from phase5_ops.policy import SigningPolicy
from phase5_ops.sandbox.aws import cloudwatch as moto_cloudwatch
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import EVENT_BUS, InsideAws, to_item
from phase5_ops.sandbox.ccnative.arns import arn_of_event_log, arn_of_export_worker, arn_of_state_machine
from phase5_ops.sandbox.ccnative.event_log import GROUP as EVENT_LOG_GROUP
from phase5_ops.sandbox.ccnative.executor import GLOBAL_STOP, STARTER, VALIDATOR
from phase5_ops.sandbox.state.blueprint import NAMESPACE, Blueprint
from phase5_ops.sandbox.state.function_roles import seed_roles
from phase5_ops.sandbox.state.ordinary_logs import GROUP_PREFIX, LogLine
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.records import REGISTRY, RESILIENCE, TENANTS, table_specs
from phase5_ops.sandbox.state.traffic import rows_of

LOG_GROUPS = tuple(
    f"{GROUP_PREFIX}{name}"
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
        "execution-status-api",
        "auto-approval-gate",
        "audit-export-worker",
    )
)
NOTIFICATIONS = "phase5-notifications"

_BATCH = 25  # as many items as BatchWriteItem takes


def seed(aws: InsideAws, region: str, blueprint: Blueprint) -> None:
    """Creates everything the blueprint says."""
    _seed_data(aws, region, blueprint)
    if blueprint.serving:
        _seed_functions(region, blueprint)
    _seed_signing_keys(aws.client("kms"))
    for step in blueprint.afterwards:
        step(aws)


def _seed_data(aws: InsideAws, region: str, blueprint: Blueprint) -> None:
    """All that is data: nothing here is secret, or differs from one sandbox of the same blueprint to the next."""
    store = moto_cloudwatch.store(region)
    for key, rows in rows_of(blueprint).items():
        store.put(NAMESPACE, key.metric, dict(key.dimensions), rows)
    _seed_tables(aws.client("dynamodb"), blueprint)
    _seed_alarms(aws.client("cloudwatch"), aws.client("sns"), blueprint)
    logs = aws.client("logs")
    for group in LOG_GROUPS:
        logs.create_log_group(logGroupName=group)
    put_logs(logs, blueprint.logs, blueprint.now_ms)
    seed_roles(aws.client("iam"), blueprint.roles)
    _seed_budgets(aws.client("budgets"), blueprint)
    events = aws.client("events")
    events.create_event_bus(Name=EVENT_BUS)
    if blueprint.serving:
        logs.create_log_group(logGroupName=EVENT_LOG_GROUP)
        _seed_rules(events, region, blueprint)
    aws.client("sns").create_topic(Name=NOTIFICATIONS)


def arn_of_notifications(region: str) -> str:
    """The topic that the gate tells of candidates and overrides."""
    return f"arn:aws:sns:{region}:{ACCOUNT}:{NOTIFICATIONS}"


def _seed_rules(events: Any, region: str, blueprint: Blueprint) -> None:  # noqa: ANN401
    rules = {
        "cc-native-action-approved": ("cc-native", "ACTION_APPROVED", arn_of_state_machine(region)),
        "cc-native-replay-requested": ("cc-native", "REPLAY_REQUESTED", arn_of_state_machine(region)),
        "cc-native-audit-export-requested": ("cc-native.autonomy", "AuditExportRequested", arn_of_export_worker(region)),
    }
    if PlatformFault.REPLAY_NOT_STARTED in blueprint.platform_faults:
        del rules["cc-native-replay-requested"]
    for name, (source, detail_type, arn) in rules.items():
        _seed_rule(events, name, {"source": [source], "detail-type": [detail_type]}, arn)
    _seed_rule(events, "cc-native-events-logged", {"source": [{"prefix": "cc-native"}]}, arn_of_event_log(region))


def _seed_rule(events: Any, name: str, pattern: dict[str, Any], arn: str) -> None:  # noqa: ANN401
    events.put_rule(Name=name, EventBusName=EVENT_BUS, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, EventBusName=EVENT_BUS, Targets=[{"Id": "1", "Arn": arn}])


def _seed_functions(region: str, blueprint: Blueprint) -> None:
    """The functions whose environment holds the platform's global stop."""
    backend = lambda_backends[ACCOUNT][region]
    for name in (STARTER, VALIDATOR):
        spec = {
            "FunctionName": name,
            "Runtime": "nodejs20.x",
            "Handler": "index.handler",
            "Role": f"arn:aws:iam::{ACCOUNT}:role/{name}",
            "Code": {"ImageUri": f"{ACCOUNT}.dkr.ecr.{region}.amazonaws.com/cc-native:sandbox"},
            "PackageType": "Image",
            "Environment": {"Variables": {GLOBAL_STOP: "true" if blueprint.global_stop else "false", "LOG_LEVEL": "info"}},
        }
        function = LambdaFunction(account_id=ACCOUNT, spec=spec, region=region, version="$LATEST")
        backend._lambdas._functions[name] = {"latest": function, "versions": [], "alias": {}}


def put_logs(logs: Any, lines: Iterable[LogLine], now_ms: int) -> None:  # noqa: ANN401
    """Writes log lines that are so long before `now_ms`; streams that are there go on."""
    streams: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        event = {"timestamp": now_ms - line.ago_ms, "message": line.message}
        streams.setdefault((GROUP_PREFIX + line.function, line.stream), []).append(event)
    for (group, stream), events in sorted(streams.items()):
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_stream(logGroupName=group, logStreamName=stream)
        logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=sorted(events, key=lambda event: event["timestamp"])
        )


def _seed_tables(dynamodb: Any, blueprint: Blueprint) -> None:  # noqa: ANN401
    items = items_of(blueprint)
    for spec in table_specs():
        held = items.pop(spec["name"], [])
        if spec["name"] not in blueprint.missing_tables:
            _seed_table(dynamodb, spec, held)
    if items:
        raise ValueError(f"the scenario has items of tables that the platform has not: {sorted(items)}")


def _seed_table(dynamodb: Any, spec: dict[str, Any], items: list[dict[str, Any]]) -> None:  # noqa: ANN401
    _create_table(dynamodb, spec)
    put_items(dynamodb, spec["name"], items)


def put_items(dynamodb: Any, table: str, items: list[dict[str, Any]]) -> None:  # noqa: ANN401
    """Writes items, as DynamoDB takes them, into a table that is there."""
    for begin in range(0, len(items), _BATCH):
        batch = [{"PutRequest": {"Item": item}} for item in items[begin : begin + _BATCH]]
        dynamodb.batch_write_item(RequestItems={table: batch})


def items_of(blueprint: Blueprint) -> dict[str, list[dict[str, Any]]]:
    """Every item of the blueprint by its table, as DynamoDB takes it."""
    plain = [(REGISTRY, _registry_item(action, tool)) for action, tool in sorted(blueprint.action_types.items())]
    plain += [(TENANTS, tenant) for tenant in blueprint.tenants]
    plain += [(RESILIENCE, breaker) for breaker in blueprint.breakers]
    plain += [(table, item) for table, held in blueprint.items.items() for item in held]
    items = defaultdict(list)
    for table, item in [*blueprint.raw_items, *((table, _item(values)) for table, values in plain)]:
        items[table].append(item)
    return items


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
        AttributeDefinitions=[{"AttributeName": a, "AttributeType": "S"} for a in attributes],
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
    return to_item({name: Decimal(str(value)) if isinstance(value, float) else value for name, value in plain.items()})


def _seed_alarms(cloudwatch: Any, sns: Any, blueprint: Blueprint) -> None:  # noqa: ANN401
    for topic, addresses in blueprint.topics.items():
        arn = sns.create_topic(Name=topic, Attributes=blueprint.topic_attributes.get(topic, {}))["TopicArn"]
        for address in addresses:
            sns.subscribe(TopicArn=arn, Protocol="email", Endpoint=address)
    for alarm in blueprint.alarms:
        cloudwatch.put_metric_alarm(**alarm)
    for composite in blueprint.composites:
        cloudwatch.put_composite_alarm(**composite)
    for rule in blueprint.mute_rules:
        cloudwatch.put_alarm_mute_rule(**rule)
    for name, history in blueprint.alarm_histories.items():
        put_at, *changed_at = (
            blueprint.now - timedelta(minutes=ago) for ago in (history.put_minutes_ago, *(ago for ago, _ in history.states))
        )
        states = [state for _, state in history.states]
        moto_cloudwatch.give_history(cloudwatch.meta.region_name, name, put_at, list(zip(changed_at, states, strict=True)))
    for name, state in blueprint.alarm_states.items():
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="set by the scenario")
    for name, content in blueprint.dashboards.items():
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(content))


def _seed_signing_keys(kms: Any) -> None:  # noqa: ANN401
    """A key each for the gate and the three roles."""
    policy = SigningPolicy()
    for signer in ("gate", *ROLES):
        key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY", Description=f"phase5: {signer}")["KeyMetadata"]
        kms.create_alias(AliasName=policy.key_of(signer), TargetKeyId=key["KeyId"])


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
