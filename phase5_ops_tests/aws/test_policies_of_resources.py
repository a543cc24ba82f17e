"""Policies of topics, queues and keys, and filter policies of subscriptions: hostile ones decide nothing, and cost little."""

import json
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.aws.filter_policy import FilterPolicyError, accepts
from phase5_ops.aws.resource_policy import ServiceRequest, fits, permission

DEEP = "[" * 100_000


def plainly(pattern: str, text: str) -> bool:
    """IAM's wildcards, tried one character after another."""
    places = {0}
    for sign in pattern:
        if sign == "*":
            places = set(range(min(places), len(text) + 1)) if places else places
        else:
            places = {at + 1 for at in places if at < len(text) and sign in ("?", text[at])}
    return len(text) in places


@given(st.text("ab*?:", max_size=8), st.text("ab:", max_size=8))
def test_wildcards_fit_as_one_character_after_another_does(pattern, text):
    assert fits(pattern, text) is plainly(pattern, text)


@pytest.mark.parametrize(("unit", "text"), [*product(["*?", "*a", "*a*?", "a*"], ["a" * 2000, "ab" * 1000])])
def test_many_wildcards_cost_little(unit, text):
    began = time.process_time()
    fits(unit * 60 + "X", text)
    accepts(f'{{"name": [{{"wildcard": "{unit * 60}X"}}]}}', {"name": text})
    assert time.process_time() - began < 1


def test_only_the_asterisk_is_a_wildcard_of_a_filter_policy():
    policy = '{"name": [{"wildcard": "a?*"}]}'
    assert accepts(policy, {"name": "a?b"}) is True
    assert accepts(policy, {"name": "axb"}) is False


def test_a_policy_that_is_nested_too_deep_is_not_known_and_a_filter_policy_is_none():
    request = ServiceRequest("cloudwatch.amazonaws.com", "sns:Publish", "arn:aws:sns:us-west-2:1:t", {})
    assert permission(DEEP, request).allowed is None
    with pytest.raises(FilterPolicyError, match="too deep"):
        accepts(DEEP, {})


@pytest.mark.parametrize("effect", ["{}", "[]", '"Maybe"', "null", "1"])
def test_a_statement_with_another_effect_decides_nothing(effect):
    request = ServiceRequest("cloudwatch.amazonaws.com", "sns:Publish", "arn:aws:sns:us-west-2:1:t", {})
    policy = f'{{"Statement": [{{"Effect": {effect}, "Principal": "*", "Action": "sns:*", "Resource": "*"}}]}}'
    assert permission(policy, request).allowed is None


REQUEST = ServiceRequest("cloudwatch.amazonaws.com", "sns:Publish", "arn:aws:sns:us-west-2:1:t", {"there": "a", "absent": None})


@pytest.mark.parametrize(
    ("operator", "key", "wanted", "holds"),
    [
        *(("Null", "absent", value, True) for value in ("true", "True", True, ["true"], [True])),
        *(("Null", "absent", value, False) for value in ("false", "False", False)),
        *(("Null", "there", value, False) for value in ("true", "TRUE", True)),
        *(("Null", "there", value, True) for value in ("false", False)),
        *(("Null", "there", value, None) for value in ("yes", 1, "", None, [], ["true", "false"])),
        *((each, "there", "true", None) for each in ("NullIfExists", "ForAnyValue:Null")),
        # without the key in the request, no value of it can be any one, and all are
        *((f"ForAnyValue:{each}", "absent", "b", False) for each in ("StringNotEquals", "StringNotLike", "StringEquals")),
        *((f"ForAllValues:{each}", "absent", "b", True) for each in ("StringNotEquals", "StringEquals")),
        ("ForAnyValue:StringEqualsIfExists", "absent", "b", None),
        ("ForSomeValues:StringNotEquals", "absent", "b", None),
        ("ForAnyValue:StringNotEquals", "there", "b", True),
        ("ForAnyValue:StringNotEquals", "there", ["a", "b"], False),
        ("StringNotEquals", "absent", "b", True),
        ("StringEqualsIfExists", "absent", "b", True),
    ],
)
@pytest.mark.parametrize("effect", ["Allow", "Deny"])
def test_conditions_on_keys_that_a_request_has_or_lacks(operator, key, wanted, holds, effect):
    """A condition that decides, and is not known, leaves open what the policy says."""
    statement = {"Principal": "*", "Action": "sns:*", "Resource": "*"}
    conditional = {**statement, "Effect": effect, "Condition": {operator: {key: wanted}}}
    others = [] if effect == "Allow" else [{**statement, "Effect": "Allow"}]
    expected = holds if effect == "Allow" or holds is None else not holds
    assert permission(json.dumps({"Statement": [conditional, *others]}), REQUEST).allowed is expected
