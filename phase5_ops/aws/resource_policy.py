"""Whether a resource's policy (of a topic, queue, key or function) lets an AWS service do something. Pure.

There are three answers: allowed, refused, and not known (a statement that decides depends on a value that is not known here).

Source: IAM User Guide, "Policy evaluation logic" (an explicit Deny beats every Allow, and what nothing allows is refused), "IAM
JSON policy elements: Condition operators", "Set operators for multivalued context keys". No identity policy applies to a service
that acts for an account, so the resource's policy alone decides.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from phase5_ops.input_files.json_text import json_value


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether something is allowed (None: not known), and if not, why."""

    allowed: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServiceRequest:
    """What a service asks of a resource.

    Attributes:
        service: its principal (`cloudwatch.amazonaws.com`).
        action: `sns:Publish`.
        resource: the resource's ARN.
        context: condition keys whose values are known, by lower-case name; None for a key that the request does not have.
            The value of any other key is not known.
    """

    service: str
    action: str
    resource: str
    context: Mapping[str, str | None]


def permission(policy: str, request: ServiceRequest) -> Permission:
    """Whether a policy (JSON text) allows a request; not known if the policy cannot be read."""
    try:
        content = json_value(policy)
    except ValueError:
        return Permission(None, "its policy is not JSON")
    statements = _listed(content.get("Statement")) if isinstance(content, dict) else []
    if not statements or not all(isinstance(statement, dict) for statement in statements):
        return Permission(None, "its policy cannot be read")
    who = f"{request.action} by {request.service}"
    applying = [(statement, _applies(statement, request)) for statement in statements]
    effects = {
        effect: [applies for statement, applies in applying if statement.get("Effect") == effect] for effect in ("Deny", "Allow")
    }
    if any(statement.get("Effect") not in tuple(effects) for statement in statements):  # which may be anything
        return Permission(None, "a statement of its policy neither allows nor denies")
    if True in effects["Deny"]:
        return Permission(False, f"its policy denies {who}")
    if None in effects["Deny"]:
        return Permission(None, f"whether its policy denies {who} depends on what is not known here")
    if True in effects["Allow"]:
        return Permission(True)
    if None in effects["Allow"]:
        return Permission(None, f"whether its policy allows {who} depends on what is not known here")
    return Permission(False, f"its policy does not allow {who}")


def _applies(statement: Mapping[str, Any], request: ServiceRequest) -> bool | None:
    """Whether a statement is about the request; None where its conditions depend on unknown values."""
    if not _principal(statement, request.service):
        return False
    action, resource = request.action.lower(), request.resource
    if not _named(statement, "Action", lambda pattern: fits(pattern.lower(), action)):
        return False
    if not _named(statement, "Resource", lambda pattern: fits(pattern, resource), default=True):
        return False
    return _conditions(statement.get("Condition") or {}, request.context)


def _principal(statement: Mapping[str, Any], service: str) -> bool:
    for element, wanted in (("Principal", True), ("NotPrincipal", False)):
        if element in statement:
            principal = statement[element]
            if not isinstance(principal, dict):
                return (principal == "*") is wanted
            named = service in _listed(principal.get("Service")) or "*" in _listed(principal.get("AWS"))
            return named is wanted
    return False


def _named(statement: Mapping[str, Any], element: str, matches: Callable[[str], bool], *, default: bool = False) -> bool:
    for name, wanted in ((element, True), (f"Not{element}", False)):
        if name in statement:
            return any(matches(str(pattern)) for pattern in _listed(statement[name])) is wanted
    return default


def _conditions(block: object, context: Mapping[str, str | None]) -> bool | None:
    """All operators of a Condition together."""
    if not isinstance(block, dict):
        return None
    answers: list[bool | None] = []
    for operator, keys in block.items():
        if not isinstance(keys, dict):
            return None
        answers += [_condition(operator, [_text(each) for each in _listed(values)], key, context) for key, values in keys.items()]
    return False if False in answers else None if None in answers else True


def _condition(operator: str, wanted: Sequence[str], key: str, context: Mapping[str, str | None]) -> bool | None:
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if key.lower() not in context:
        return None
    value = context[key.lower()]
    if operator == "Null":
        absent = _ABSENT.get(wanted[0].lower()) if len(wanted) == 1 else None
        return None if absent is None else (value is None) is absent
    negated = "Not" in plain
    compare = _COMPARE.get(plain.replace("Not", ""))
    if compare is None or quantifier not in ("", *_QUANTIFIERS):
        return None
    if value is None and quantifier == "ForAnyValue":
        return None if if_exists else False  # of what IfExists changes here the guide says nothing
    if value is None:
        return if_exists or negated or quantifier == "ForAllValues"
    return any(compare(each, value) for each in wanted) is not negated


def _text(value: object) -> str:
    """A value of a condition as it is compared: booleans of JSON may stand for their words."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _arn_like(pattern: str, arn: str) -> bool:
    patterns, parts = pattern.split(":", 5), arn.split(":", 5)
    return len(patterns) == len(parts) and all(fits(one, part) for one, part in zip(patterns, parts, strict=True))


def fits(pattern: str, text: str, *, ignore_case: bool = False, any_one: str = "?") -> bool:
    """IAM's wildcards: `*` for anything, slashes and colons too, `any_one` for one character, nothing else."""
    return _compiled(pattern, ignore_case, any_one).fullmatch(text) is not None


@cache
def _compiled(pattern: str, ignore_case: bool, any_one: str) -> re.Pattern[str]:
    first, *others = ("".join("." if sign == any_one else re.escape(sign) for sign in part) for part in pattern.split("*"))
    # what follows a `*` is taken at its first place and kept there, so that many of them cost no more than one
    parts = [first, *(f"(?>.*?{part})" for part in others[:-1]), *(f".*{part}" for part in others[-1:])]
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


_ABSENT = {"true": True, "false": False}  # what Null says of a key
_QUANTIFIERS = ("ForAllValues", "ForAnyValue")
_COMPARE: Mapping[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda wanted, value: wanted == value,
    "StringEqualsIgnoreCase": lambda wanted, value: wanted.lower() == value.lower(),
    "StringLike": fits,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": lambda wanted, value: wanted.lower() == value.lower(),
}


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | Mapping) else [value]
