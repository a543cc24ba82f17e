"""Rules of composite alarms."""

import pytest

from phase5_ops.cloudwatch.alarm_rule import AlarmRuleError, RuleTooLarge, parse_rule

STATES = {"bad": "ALARM", "good": "OK", "new": "INSUFFICIENT_DATA", "CPU too high": "ALARM"}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("TRUE", True),
        ("FALSE", False),
        ("ALARM(bad)", True),
        ('ALARM("CPU too high")', True),
        ("OK(bad)", False),
        ("INSUFFICIENT_DATA(new)", True),
        ("ALARM(bad) AND ALARM(good)", False),
        ("ALARM(bad) OR ALARM(good)", True),
        ("NOT ALARM(good)", True),
        ("ALARM(good) AND ALARM(new) OR ALARM(bad)", True),
        ("ALARM(good) AND (ALARM(new) OR ALARM(bad))", False),
        ("NOT (OK(good) AND ALARM(bad))", False),
        ("ALARM(arn:aws:cloudwatch:us-west-2:123456789012:alarm:bad)", True),
        ("ALARM('bad')", True),
        ("ALARM(absent) OR OK(absent) OR INSUFFICIENT_DATA(absent)", False),
        ("AT_LEAST(2, ALARM, (bad, good, 'CPU too high'))", True),
        ("AT_LEAST(50%, NOT ALARM, (bad, good, new))", True),
        ("AT_LEAST(100%, OK, (bad, good))", False),
    ],
)
def test_rules_hold_by_the_states_of_their_alarms(rule, holds):
    assert parse_rule(rule).evaluate(STATES) == holds


def test_a_rule_names_its_alarms():
    rule = parse_rule(
        'ALARM("a \\"b\\"") AND NOT (OK(c) OR AT_LEAST(1, OK, (d, arn:aws:cloudwatch:r:1:alarm:e f)))'.replace(" f", "")
    )
    assert rule.alarm_names == {'a "b"', "c", "d", "e"}
    assert parse_rule("TRUE").alarm_names == frozenset()


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "bad",
        "ALARM()",
        "ALARM(a",
        "ALARM(a) AND",
        "ALARM(a) ALARM(b)",
        "alarm(a)",
        "AT_LEAST(0, OK, (a))",
        "AT_LEAST(1, UP, (a))",
        f"AT_LEAST({'9' * 5000}%, OK, (a))",
        "(" * 200,
    ],
)
def test_what_is_not_a_rule_is_refused(rule):
    with pytest.raises(AlarmRuleError):
        parse_rule(rule)


def test_rules_put_into_each_other_are_too_large_before_they_are_too_deep():
    """Each rule is 50 parentheses deep, and names the one below it."""

    def deep(number):
        text = "ALARM(below)"
        for level in range(50):
            text = f"(ALARM(a{number}_{level}) {'AND' if level % 2 else 'OR'} {text})"
        return parse_rule(text)

    whole = parse_rule("ALARM(bad)")
    for number in range(3):
        whole = deep(number).with_rules({"below": whole})
        assert whole.levels == 1 + 50 * (number + 1)
        assert whole.assume({"bad": "OK"}).negated().witness({}) is not None
    with pytest.raises(RuleTooLarge, match="within each other"):
        deep(3).with_rules({"below": whole})
