"""Who hears of an alarm: composites above it by what their rules would do, and topics by what they deliver."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.cloudwatch.alarm_rule import STATES, parse_rule
from phase5_ops.sections.slo.alarms.composites import Composites, Way
from phase5_ops.sections.slo.alarms.delivery import Sender, delivery
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.sections.slo.alarms.notification_path import told
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.slo.alarms.alarm_platform import NOW, TOPIC, policy_of_topic

ACCOUNT = "123456789012"
ARN = f"arn:aws:cloudwatch:us-west-2:{ACCOUNT}:alarm:x"
ROW = SloAlarm(
    tool="crm.create_task",
    alarm="x",
    url="https://console",
    alarm_actions=[],
    actions_enabled=True,
    mute_rules=[],
    region="us-west-2",
    account=ACCOUNT,
    arn=ARN,
    description="p99 of the tool",
    expression=None,
    metric="tool_latency_ms",
    namespace="CCNative/Execution",
    period=300,
)


def composite(rule, name="composite", **changes):
    return {"AlarmName": name, "AlarmRule": rule, "AlarmActions": [TOPIC], "ActionsEnabled": True, "StateValue": "OK"} | changes


#: Rules of which nobody hears when the alarm fires; `x` stands for it, `other` for any other alarm.
RULES_ALWAYS_IN_ALARM = (
    "TRUE",
    "NOT FALSE",
    "TRUE OR ALARM(x)",
    "ALARM(x) OR NOT ALARM(x)",
    "NOT (ALARM(x) AND OK(x))",
    "OK(x) OR ALARM(x) OR INSUFFICIENT_DATA(x)",
    "AT_LEAST(1, NOT ALARM, (x, other)) OR ALARM(x)",
)
RULES_OPEN_BEFORE = (
    "OK(x) OR ALARM(x)",
    "OK(other) OR ALARM(x)",
    "NOT ALARM(other) OR ALARM(x)",
    "OK(x)",
    "NOT ALARM(x)",
    "NOT INSUFFICIENT_DATA(x)",
    "AT_LEAST(1, OK, (x, other)) OR ALARM(x)",
)
RULES_THAT_STAY_SHUT = (
    "FALSE AND ALARM(x)",
    "ALARM(x) AND OK(x)",
    "ALARM(x) AND NOT ALARM(x)",
    "INSUFFICIENT_DATA(x)",
    "ALARM(x) AND INSUFFICIENT_DATA(other)",
    "AT_LEAST(2, ALARM, (x, other, third))",
    "AT_LEAST(3, ALARM, (x, x))",
)


def told_through(*composites, alike=(), states=None, topic=None):
    """Worst verdict and codes of an alarm `x` without actions of its own below these composites."""
    parents = Composites(composites, states or {}).above("x", alike)
    topics = {TOPIC: {"exists": True, "confirmed": 1, "pending": 0, "error": None} | (topic or {})}
    row = replace(ROW, parents=parents, topics=topics)
    findings = told(row, longest_wait_seconds=900, now=NOW)
    return findings, [finding.code for finding in findings]


@pytest.mark.parametrize("state", ["OK", "ALARM", "INSUFFICIENT_DATA"])
@pytest.mark.parametrize("rule", [*RULES_ALWAYS_IN_ALARM, *RULES_OPEN_BEFORE])
def test_a_composite_that_is_in_alarm_before_the_alarm_tells_nobody(rule, state):
    """Whatever state it shows now: the rule decides."""
    if "x" not in rule:
        rule = f"({rule}) OR (ALARM(x) AND FALSE)"
    findings, _ = told_through(composite(rule, StateValue=state))
    assert [(finding.code, finding.verdict) for finding in findings] == [("alarm_way_open_before", Verdict.FAIL)]
    always = rule in RULES_ALWAYS_IN_ALARM or "FALSE)" in rule
    assert ("whatever its parts say" in findings[0].seen) is always


@pytest.mark.parametrize("rule", RULES_THAT_STAY_SHUT)
def test_a_composite_that_needs_more_than_the_alarm_tells_nobody(rule):
    assert told_through(composite(rule))[1] == ["alarm_actions_missing"]


@pytest.mark.parametrize(
    "rule",
    [
        "ALARM(x)",
        "NOT OK(x)",
        "ALARM(x) OR INSUFFICIENT_DATA(x)",
        "NOT (OK(x) OR INSUFFICIENT_DATA(x))",
        "AT_LEAST(1, ALARM, (x, other))",
        "AT_LEAST(50%, ALARM, (x, other))",
        "(ALARM(x) OR ALARM(other)) AND NOT ALARM(deploying)",
        "ALARM(x) AND TRUE",
        " OR ".join(f"ALARM(a{number})" for number in range(99)) + " OR ALARM(x)",
    ],
)
def test_a_composite_that_opens_with_the_alarm_tells_of_it(rule):
    assert told_through(composite(rule))[1] == []


@pytest.mark.parametrize("rule", ["ALARM(x) AND OK(other)", "ALARM(x) AND NOT INSUFFICIENT_DATA(other)"])
def test_a_composite_that_asks_for_data_of_another_alarm_is_a_warning(rule):
    findings, _ = told_through(composite(rule))
    assert [(finding.code, finding.verdict) for finding in findings] == [("alarm_way_needs_data", Verdict.WARN)]
    assert "other is INSUFFICIENT_DATA" in findings[0].seen


def test_a_way_that_is_shut_now_by_what_other_alarms_say_does_not_count():
    above = composite("ALARM(x) AND NOT ALARM(deploying)")
    assert told_through(above, states={"deploying": "ALARM"})[1] == ["alarm_actions_suppressed"]
    assert told_through(above, states={"deploying": "OK"})[1] == []


@pytest.mark.parametrize(
    ("inner", "outer", "codes"),
    [
        ("ALARM(x)", "ALARM(inner)", []),
        ("OK(x)", "OK(inner)", []),
        ("ALARM(x) OR ALARM(other)", "ALARM(inner) AND NOT ALARM(deploying)", []),
        ("TRUE OR ALARM(x)", "ALARM(inner)", ["alarm_way_open_before"]),
        ("TRUE", "ALARM(inner) OR ALARM(x)", ["alarm_way_open_before"]),
        ("OK(x)", "NOT ALARM(inner) OR OK(inner) OR ALARM(inner)", ["alarm_way_open_before"]),
        ("ALARM(x)", "OK(inner)", ["alarm_way_open_before"]),
        ("ALARM(x)", "INSUFFICIENT_DATA(inner)", ["alarm_actions_missing"]),
        ("ALARM(x) AND ALARM(other)", "ALARM(inner)", ["alarm_actions_missing"]),
        ("ALARM(x", "ALARM(inner) OR ALARM(x)", ["alarm_way_not_judged"]),
        ("ALARM(outer) OR ALARM(x)", "ALARM(inner)", ["alarm_way_not_judged"]),
        ("ALARM(inner) OR ALARM(x)", "ALARM(inner)", ["alarm_way_not_judged"]),
    ],
)
def test_composites_above_composites(inner, outer, codes):
    rules = [composite(inner, "inner", AlarmActions=[]), composite(outer, "outer")]
    assert told_through(*rules)[1] == codes


def test_a_rule_that_is_too_large_to_be_looked_through_does_not_count():
    """Each composite asks three times for the one below: 3^12 conditions."""
    tower = [composite("ALARM(x)", "c0", AlarmActions=[])]
    for level in range(1, 13):
        below = f"c{level - 1}"
        rule = f"AT_LEAST(2, ALARM, ({below}, {below}, {below}))"
        tower.append(composite(rule, f"c{level}", AlarmActions=[TOPIC] if level == 12 else []))
    findings, _ = told_through(*tower)
    assert [(finding.code, finding.verdict) for finding in findings] == [("alarm_way_not_judged", Verdict.INCONCLUSIVE)]
    # Another composite is a way that needs no looking through.
    assert told_through(*tower, composite("ALARM(x)", "plain"))[1] == []


@pytest.mark.parametrize(
    "suppressor",
    [
        "ALARM(x)",
        "ALARM(x) OR ALARM(deploying)",
        "ALARM(x) AND ALARM(deploying)",
        "NOT OK(x)",
        "TRUE",
        "OK(other)",
        "ALARM(main)",
        "ALARM(between)",
    ],
)
def test_a_suppressor_that_depends_on_the_alarm_silences_it(suppressor):
    rules = [
        composite("ALARM(x)", "main", ActionsSuppressor="quiet"),
        composite("ALARM(x)", "between", AlarmActions=[]),
        composite(suppressor, "quiet", AlarmActions=[]),
    ]
    findings, _ = told_through(*rules)
    assert [(finding.code, finding.verdict) for finding in findings] == [("alarm_actions_suppressed", Verdict.FAIL)]


def test_a_suppressor_may_be_the_alarm_itself_or_its_twin():
    for name in ("x", "twin", "arn:aws:cloudwatch:us-west-2:123456789012:alarm:x"):
        assert told_through(composite("ALARM(x)", ActionsSuppressor=name), alike=["twin"])[1] == ["alarm_actions_suppressed"]


@pytest.mark.parametrize("rule", ["ALARM(x) AND NOT ALARM(twin)", "ALARM(x) AND OK(twin)"])
def test_an_alarm_on_the_same_signal_must_not_keep_the_way_shut(rule):
    """Both fire together, so that the one would silence the other."""
    assert told_through(composite(rule), alike=["twin"])[1] == ["alarm_actions_missing"]
    assert told_through(composite("ALARM(x) OR ALARM(twin)"), alike=["twin"])[1] == []


def test_a_suppressor_that_stands_for_something_else_is_lawful():
    quiet = composite("ALARM(deploying) OR ALARM(maintenance)", "quiet", AlarmActions=[])
    assert told_through(composite("ALARM(x)", "main", ActionsSuppressor="quiet"), quiet)[1] == []
    assert told_through(composite("ALARM(x)", "main", ActionsSuppressor="deploying"))[1] == []
    lacking = composite("NOT OK(deploying)", "quiet", AlarmActions=[])
    assert told_through(composite("ALARM(x)", "main", ActionsSuppressor="quiet"), lacking)[1] == ["alarm_way_needs_data"]


@pytest.mark.parametrize(("seconds", "codes"), [(120, []), (900, []), (86400, ["alarm_actions_suppressed"])])
def test_a_composite_must_not_wait_long_for_its_suppressor(seconds, codes):
    above = composite("ALARM(x)", ActionsSuppressor="deploying", ActionsSuppressorWaitPeriod=seconds)
    assert told_through(above)[1] == codes


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.sampled_from(
            ["ALARM(x)", "OK(x)", "ALARM(b)", "OK(b)", "INSUFFICIENT_DATA(b)", "INSUFFICIENT_DATA(x)", "TRUE", "FALSE"]
        ),
        lambda rule: st.one_of(
            st.builds("NOT ({})".format, rule),
            st.builds("({} AND {})".format, rule, rule),
            st.builds("({} OR {})".format, rule, rule),
        ),
        max_leaves=6,
    )
)
def test_a_composite_counts_only_where_it_goes_from_ok_to_alarm(text):
    """Against the definition, tried state by state."""
    rule = parse_rule(text)
    opens = not rule.evaluate({"x": "OK", "b": "OK"}) and rule.evaluate({"x": "ALARM", "b": "OK"})
    (entry,) = Composites([composite(f"({text}) OR (ALARM(x) AND FALSE)")], {}).above("x")
    assert (entry["way"] == Way.OPENS) is opens
    always = all(rule.evaluate({"x": one, "b": other}) for one in STATES for other in STATES)
    assert ("whatever its parts say" in entry["why"]) is always
    needs_data = opens and not rule.evaluate({"x": "ALARM", "b": "INSUFFICIENT_DATA"})
    assert entry["only_sometimes"] is needs_data


# --- topics ---

SENDER = Sender("x", ARN, "us-west-2", ACCOUNT, "p99 of the tool", {"MetricName": "tool_latency_ms", "Period": 300})
QUEUE = f"arn:aws:sqs:us-west-2:{ACCOUNT}:on-call"
DEFAULT_POLICY = policy_of_topic({"StringEquals": {"AWS:SourceOwner": ACCOUNT}}, principal={"AWS": "*"})


def subscription(protocol="email", filter_policy=None, scope=None, **changes):
    return {
        "protocol": protocol,
        "target": None if protocol == "email" else QUEUE,
        "read": True,
        "filter_policy": None if filter_policy is None else json.dumps(filter_policy),
        "filter_scope": scope,
        "missing": None,
        "target_policy": None,
        "target_key": None,
    } | changes


def delivered(*subscriptions, arn=TOPIC, policy=DEFAULT_POLICY, key=None, **changes):
    """`delivers`, or the fault, or what is not known."""
    topic = {"exists": True, "confirmed": 1, "pending": 0, "error": None, "policy": policy, "key": key} | changes
    answer = delivery(arn, topic | {"subscriptions": list(subscriptions)}, SENDER)
    return answer.fault or (answer.unknown and f"unknown: {answer.unknown}") or "delivers"


def statements(*texts):
    return json.dumps({"Statement": [statement for text in texts for statement in json.loads(text)["Statement"]]})


SECURE = {"Bool": {"aws:SecureTransport": "false"}}
ANYONE = "*"


@pytest.mark.parametrize(
    ("policy", "answer"),
    [
        (DEFAULT_POLICY, "delivers"),
        (policy_of_topic(), "delivers"),
        (policy_of_topic(action=["SNS:Publish", "sns:Subscribe"]), "delivers"),
        (policy_of_topic(action="sns:*", resource="*"), "delivers"),
        (policy_of_topic({"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:*:{ACCOUNT}:alarm:*"}}), "delivers"),
        (policy_of_topic({"StringEquals": {"aws:SourceAccount": [ACCOUNT, "1"]}}), "delivers"),
        (statements(policy_of_topic(), policy_of_topic(SECURE, effect="Deny", principal=ANYONE)), "delivers"),
        (statements(policy_of_topic(), policy_of_topic(effect="Deny", action="sns:Subscribe", principal=ANYONE)), "delivers"),
        (statements(policy_of_topic(), policy_of_topic(effect="Deny", principal={"Service": "s3.amazonaws.com"})), "delivers"),
        (statements(policy_of_topic(), policy_of_topic(effect="Deny", principal=ANYONE)), "denies"),
        (statements(policy_of_topic(), policy_of_topic(effect="Deny", action="sns:Pub*")), "denies"),
        (
            statements(policy_of_topic(), policy_of_topic({"StringNotEquals": {"aws:SourceAccount": "1"}}, effect="Deny")),
            "denies",
        ),
        (policy_of_topic(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}), "does not allow"),
        (policy_of_topic(principal={"Service": "events.amazonaws.com"}), "does not allow"),
        (policy_of_topic(action="sns:Subscribe"), "does not allow"),
        (policy_of_topic(resource=TOPIC + "-other"), "does not allow"),
        (policy_of_topic({"ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:*:{ACCOUNT}:alarm:y*"}}), "does not allow"),
        (policy_of_topic({"StringEquals": {"aws:SourceAccount": "999999999999"}}), "does not allow"),
        (policy_of_topic({"StringEquals": {"AWS:SourceOwner": "999999999999"}}, principal={"AWS": "*"}), "does not allow"),
        (policy_of_topic({"StringEquals": {"sns:Protocol": "https"}}), "does not allow"),
        (policy_of_topic({"StringEquals": {"aws:SourceOrgID": "o-1"}}), "unknown"),
        (policy_of_topic({"DateLessThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}), "unknown"),
        (
            statements(policy_of_topic(), policy_of_topic({"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}, effect="Deny")),
            "unknown",
        ),
        ("", "unknown"),
        ("[]", "unknown"),
        ('{"Statement": []}', "unknown"),
        ('{"Statement": [{"Effect": "Maybe"}]}', "unknown"),
    ],
)
def test_cloudwatch_must_be_allowed_to_publish(policy, answer):
    assert answer in delivered(policy=policy)


def key(**changes):
    return {"name": "alias/mine", "aws_managed": False, "state": "Enabled", "policy": None} | changes


FOR_CLOUDWATCH = policy_of_topic(action=["kms:Decrypt", "kms:GenerateDataKey*"], resource="*")


@pytest.mark.parametrize(
    ("encrypted", "answer"),
    [
        (key(policy=FOR_CLOUDWATCH), "delivers"),
        (key(policy=policy_of_topic(action="kms:*", resource="*")), "delivers"),
        (key(name="alias/aws/sns", aws_managed=True), "may not use"),
        (key(name="1234-abcd", aws_managed=True), "may not use"),
        (
            key(policy=policy_of_topic(principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, action="kms:*", resource="*")),
            "does not allow",
        ),
        (key(policy=policy_of_topic(action="kms:Decrypt", resource="*")), "does not allow kms:GenerateDataKey"),
        (key(policy=FOR_CLOUDWATCH, state="Disabled"), "is Disabled"),
        (key(policy=FOR_CLOUDWATCH, state="PendingDeletion"), "is PendingDeletion"),
        (key(aws_managed=None, state="missing"), "is missing"),
        (key(), "unknown"),
        (key(aws_managed=None, state=None), "delivers"),  # that it could not be read is an ERROR of its own
    ],
)
def test_cloudwatch_must_be_able_to_use_the_key(encrypted, answer):
    assert answer in delivered(key=encrypted)


BODY = "MessageBody"


@pytest.mark.parametrize(
    ("filter_policy", "scope", "answer"),
    [
        ({}, None, "delivers"),
        ({"severity": ["high"]}, None, "never takes"),
        ({"AlarmName": ["x"]}, None, "never takes"),  # of the attributes, which CloudWatch does not set
        ({"severity": [{"exists": False}]}, None, "delivers"),
        ({"severity": ["high"]}, BODY, "never takes"),
        ({"AlarmName": ["x"]}, BODY, "delivers"),
        ({"AlarmName": [{"prefix": "y"}]}, BODY, "never takes"),
        ({"AlarmName": ["y", {"anything-but": ["y", "z"]}]}, BODY, "delivers"),
        ({"AlarmName": [{"anything-but": {"prefix": "x"}}]}, BODY, "never takes"),
        ({"AlarmName": [{"wildcard": "*x"}, {"suffix": "y"}], "NewStateValue": ["ALARM"]}, BODY, "delivers"),
        ({"NewStateValue": ["OK"]}, BODY, "never takes"),
        ({"NewStateValue": [{"equals-ignore-case": "alarm"}], "OldStateValue": ["OK"]}, BODY, "delivers"),
        ({"OldStateValue": ["INSUFFICIENT_DATA"]}, BODY, "never takes"),
        ({"AWSAccountId": ["999999999999"]}, BODY, "never takes"),
        ({"Trigger": {"MetricName": ["tool_latency_ms"]}}, BODY, "delivers"),
        ({"Trigger": {"MetricName": ["CPUUtilization"]}}, BODY, "never takes"),
        ({"Trigger": {"Dimensions": {"value": ["a"]}}}, BODY, "unknown"),
        ({"Region": ["US West (Oregon)"]}, BODY, "unknown"),
        ({"Region": ["US West (Oregon)"], "NewStateValue": ["OK"]}, BODY, "never takes"),
        ({"$or": [{"severity": ["high"]}, {"NewStateValue": ["ALARM"]}]}, BODY, "delivers"),
        ({"AlarmName": [{"of-tomorrow": "x"}]}, BODY, "unknown"),
        ({"AlarmName": "x"}, BODY, "unknown"),
    ],
)
def test_a_subscription_must_take_the_message(filter_policy, scope, answer):
    assert answer in delivered(subscription(filter_policy=filter_policy, scope=scope))
    assert delivered(subscription(filter_policy=filter_policy, scope=scope), subscription()) == "delivers"


KEY_FOR_SNS = policy_of_topic(principal={"Service": "sns.amazonaws.com"}, action="kms:*", resource="*")
FOR_SNS = policy_of_topic(principal={"Service": "sns.amazonaws.com"}, action="sqs:SendMessage", resource=QUEUE)


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"target_policy": FOR_SNS}, "delivers"),
        ({"missing": "the queue"}, "does not exist"),
        ({"missing": "the subscription", "target": None}, "the subscription does not exist"),
        ({"target_policy": ""}, "no policy"),
        ({"target_policy": policy_of_topic(action="sqs:SendMessage", resource=QUEUE)}, "does not allow"),
        ({"target_policy": FOR_SNS, "target_key": key(name="alias/aws/sqs", aws_managed=True)}, "may not use"),
        ({"target_policy": FOR_SNS, "target_key": key(policy=KEY_FOR_SNS)}, "delivers"),
        ({"target_policy": FOR_SNS, "target_key": key(policy=FOR_CLOUDWATCH)}, "does not allow"),
        ({"target_policy": FOR_SNS, "target_key": key(policy=KEY_FOR_SNS, state="Disabled")}, "is Disabled"),
        ({"target_policy": FOR_SNS, "target_key": key(withheld=True)}, "unknown"),
        ({"target_policy": "", "target_key": key(withheld=True)}, "no policy"),
        ({"withheld": "the queue of account 999999999999"}, "unknown"),
        ({"withheld": "the subscription of account 999999999999", "read": False}, "unknown"),
        ({"withheld": "the queue of account 999999999999", "filter_policy": {"a": ["b"]}}, "never takes"),
        ({"target_policy": None}, "unknown"),
        ({"protocol": "firehose", "target": None}, "unknown"),
        ({"protocol": "carrier-pigeon", "target": None}, "unknown"),
        ({"read": False}, "delivers"),  # that it could not be read is an ERROR of its own
    ],
)
def test_what_a_subscription_delivers_to_must_be_there_and_let_it(changes, answer):
    assert answer in delivered(subscription(**{"protocol": "sqs"} | changes))


def test_what_another_account_withholds_is_not_known_unless_another_subscription_is_proved():
    kept = subscription("sqs", withheld="the queue of account 999999999999")
    assert "unknown" in delivered(kept)
    assert delivered(kept, subscription()) == "delivers"
    assert "unknown" in delivered(kept, subscription(filter_policy={"severity": ["high"]}))
    foreign = TOPIC.replace(ACCOUNT, "999999999999")
    assert "unknown" in delivered(arn=foreign, withheld=True, exists=None, confirmed=None)
    assert "is in eu-west-1" in delivered(arn=foreign.replace("us-west-2", "eu-west-1"), withheld=True, exists=None)
    assert "unknown" in delivered(key=key(withheld=True, state=None, aws_managed=None))
    assert "may not use" in delivered(key=key(withheld=True, aws_managed=True))


FOREIGN_TOPIC = TOPIC.replace(ACCOUNT, "999999999999")
KEPT = {"exists": None, "confirmed": None, "pending": None, "error": "denied", "withheld": True}
HEARD = {"exists": True, "confirmed": 1, "pending": 0, "error": None, "subscriptions": [subscription()]}
DEAF = HEARD | {"exists": False}


@given(
    own=st.lists(st.sampled_from(["kept", "heard", "deaf"]), max_size=3),
    above=st.lists(st.sampled_from(["kept", "heard", "deaf"]), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_a_way_that_another_account_withholds_passes_only_beside_one_that_is_proved(own, above):
    kinds = {"kept": KEPT, "heard": HEARD, "deaf": DEAF}
    arns = {f"{FOREIGN_TOPIC}-{at}": kind for at, kind in enumerate([*own, *above])}
    parents = Composites([composite("ALARM(x)", AlarmActions=list(arns)[len(own) :])], {}).above("x") if above else []
    row = replace(
        ROW,
        alarm_actions=list(arns)[: len(own)],
        parents=parents,
        topics={arn: kinds[kind] for arn, kind in arns.items()},
    )
    findings = told(row, longest_wait_seconds=900, now=NOW)
    proved = "heard" in own or "heard" in above
    assert (not findings) is proved
    if not proved and "kept" in (own or above):
        assert [finding.code for finding in findings] == ["alarm_delivery_not_judged"]
        assert "another account" in findings[0].seen


def test_topics_of_another_region_and_fifo_topics_hear_nothing():
    assert "is in eu-west-1" in delivered(arn=TOPIC.replace("us-west-2", "eu-west-1"))
    assert "FIFO" in delivered(arn=TOPIC + ".fifo")
    assert "does not exist" in delivered(exists=False)
    assert "no confirmed subscription, 2 waiting" in delivered(confirmed=0, pending=2)


def test_a_composite_publishes_under_its_own_name():
    """A policy or filter that names the composite lets its message through, and none that names the alarm."""
    for name, codes in (("composite", []), ("x", ["alarm_action_goes_nowhere"])):
        condition = {"ArnEquals": {"aws:SourceArn": f"arn:aws:cloudwatch:us-west-2:{ACCOUNT}:alarm:{name}"}}
        assert told_through(composite("ALARM(x)"), topic={"policy": policy_of_topic(condition)})[1] == codes
        takes = subscription(filter_policy={"AlarmName": [name]}, scope=BODY)
        assert told_through(composite("ALARM(x)"), topic={"subscriptions": [takes]})[1] == codes


# --- mute rules ---


@pytest.mark.parametrize(
    ("status", "expression", "duration", "verdict"),
    [
        ("ACTIVE", "cron(0 2 * * *)", "PT4H", Verdict.FAIL),
        ("UNHEARD_OF", "cron(0 2 * * *)", "PT4H", Verdict.FAIL),
        ("SCHEDULED", "cron(0 2 * * *)", "PT4H", Verdict.WARN),
        ("SCHEDULED", "cron(0 2 * * SUN)", "P1D", Verdict.WARN),
        ("SCHEDULED", "at(2026-12-24T00:00)", "P1D", Verdict.WARN),
        ("SCHEDULED", "cron(0 * * * *)", "PT59M", Verdict.FAIL),
        ("SCHEDULED", "cron(*/10 * * * *)", "PT9M", Verdict.FAIL),
        ("SCHEDULED", "cron(30 9 * * *)", "PT23H", Verdict.FAIL),
        ("SCHEDULED", "cron(0 10 * * MON-FRI)", "PT20H", Verdict.FAIL),
        ("SCHEDULED", "at(2026-11-23T10:00)", "P15D", Verdict.FAIL),
        ("SCHEDULED", "rate(1 hour)", "PT59M", Verdict.INCONCLUSIVE),
        ("SCHEDULED", "cron(0 2 * * *)", None, Verdict.INCONCLUSIVE),
        ("SCHEDULED", None, None, Verdict.INCONCLUSIVE),
    ],
)
def test_a_mute_rule_is_judged_by_how_much_it_silences(status, expression, duration, verdict):
    rule = {"alarm": "x", "name": "night", "status": status, "expression": expression, "duration": duration}
    rules = [rule | {"timezone": "UTC", "starts": None, "expires": None}]
    row = replace(ROW, parents=[], alarm_actions=[TOPIC], mute_rules=rules)
    topic = {"exists": True, "confirmed": 1, "pending": 0, "error": None}
    findings = told(replace(row, topics={TOPIC: topic}), longest_wait_seconds=900, now=NOW)
    assert [(finding.code, finding.verdict) for finding in findings] == [("alarm_muted", verdict)]
