"""SNS filter policies: whether a subscription takes a message. Pure.

Source: Amazon SNS Developer Guide, "Amazon SNS subscription filter policies", "String value matching", "Numeric value matching",
"Key matching", "OR operator". Every key of the policy must match; one of a key's conditions is enough. A key that the message
lacks matches only `{"exists": false}`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from phase5_ops.aws.resource_policy import fits
from phase5_ops.input_files.json_text import json_value


class _Unknown:
    """A value that exists but is not known."""


UNKNOWN: Final = _Unknown()
_ABSENT: Final = object()

#: A mapping with this key has further keys, which are not known.
AND_MORE: Final = "\0and more"


class FilterPolicyError(ValueError):
    """The text is not a filter policy."""


def accepts(policy: str, message: Mapping[str, Any]) -> bool | None:
    """Whether a filter policy (JSON text) takes a message; None where that depends on unknown values.

    Args:
        policy: the attribute FilterPolicy.
        message: the properties that the policy looks at, `UNKNOWN` for values that are not known.

    Raises:
        FilterPolicyError: not a filter policy.
    """
    try:
        content = json_value(policy)
    except ValueError as error:
        raise FilterPolicyError(f"not JSON: {error}") from error
    if not isinstance(content, dict):
        raise FilterPolicyError("not a JSON object")
    return _all(content, message)


def _all(policy: Mapping[str, Any], message: Any) -> bool | None:  # noqa: ANN401 - JSON
    answers = [_key(key, wanted, message) for key, wanted in policy.items()]
    return False if False in answers else None if None in answers else True


def _any(answers: Sequence[bool | None]) -> bool | None:
    return True if True in answers else None if None in answers else False


def _key(key: str, wanted: Any, message: Any) -> bool | None:  # noqa: ANN401 - JSON
    if key == "$or" and isinstance(wanted, list) and all(isinstance(each, dict) for each in wanted):
        return _any([_all(each, message) for each in wanted])
    value = _value(message, key)
    if isinstance(wanted, dict):
        return _all(wanted, {} if value is _ABSENT else value)
    if not isinstance(wanted, list):
        raise FilterPolicyError(f"{key} is neither a list nor an object")
    values = value if isinstance(value, list) and value else [value]
    return _any([_matches(condition, each) for condition in wanted for each in values])


def _value(message: Any, key: str) -> Any:  # noqa: ANN401 - JSON
    if message is UNKNOWN:
        return UNKNOWN
    if not isinstance(message, Mapping):
        return _ABSENT
    return message.get(key, UNKNOWN if AND_MORE in message else _ABSENT)


def _matches(condition: Any, value: Any) -> bool | None:  # noqa: ANN401 - JSON
    if isinstance(condition, Mapping) and condition.keys() == {"exists"}:
        return None if value is UNKNOWN else (value is not _ABSENT) is bool(condition["exists"])
    if value is _ABSENT:
        return False
    if value is UNKNOWN:
        return None
    if not isinstance(condition, Mapping):
        return type(condition) is type(value) and condition == value
    if len(condition) != 1:
        return None
    ((operator, wanted),) = condition.items()
    return _compare(operator, wanted, value)


def _compare(operator: str, wanted: Any, value: Any) -> bool | None:  # noqa: ANN401 - JSON
    """One operator on a value that is known; None for an operator that is not known here."""
    if operator == "anything-but":
        if isinstance(wanted, Mapping):
            found = _matches(wanted, value)
            return None if found is None else not found
        return value not in (wanted if isinstance(wanted, list) else [wanted])
    if operator in ("prefix", "suffix", "equals-ignore-case", "wildcard") and isinstance(wanted, str):
        if not isinstance(value, str):
            return False
        return {
            "prefix": value.startswith(wanted),
            "suffix": value.endswith(wanted),
            "equals-ignore-case": value.lower() == wanted.lower(),
            "wildcard": fits(wanted, value, any_one=""),
        }[operator]
    return None
