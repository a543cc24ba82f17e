"""Composite alarms above an alarm: does one go into ALARM when the alarm does, and are its actions carried out then? Pure.

The rule decides, over all states that its parts may take and not their present ones. A composite is a way to people if it is
not in ALARM while the alarm and everything else is OK, and is in ALARM once the alarm is. It must not depend on another alarm
of the same tool and signal, since both change together; and its actions must not be suppressed by what the alarm itself sets
off.

Source: CloudWatch API Reference, PutCompositeAlarm (cycles of composites are possible; a composite has INSUFFICIENT_DATA only
until it is first evaluated), CompositeAlarm (actions are suppressed while the suppressor is in ALARM, and wait for it up to
ActionsSuppressorWaitPeriod).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from phase5_ops.cloudwatch.alarm_rule import AlarmRule, AlarmRuleError, RuleTooLarge, alarm_in_alarm, parse_rule
from phase5_ops.text import first_few

MOST_LEVELS = 20
"""How many levels of composites above composites are followed."""

_NOT_ALARM = ("OK", "INSUFFICIENT_DATA")
_SHOWN = 4  # alarms that a finding names


class Way(StrEnum):
    """What a composite does when the alarm below it goes from OK to ALARM."""

    OPENS = "opens"
    STAYS_SHUT = "stays_shut"  # it needs more than the alarm
    OPEN_BEFORE = "open_before"  # it is in ALARM already, so that nothing changes
    NOT_JUDGED = "not_judged"


@dataclass(frozen=True, slots=True)
class Opening:
    """How a composite answers an alarm.

    Attributes:
        way: what it does.
        why: the reason if it does not open; or, if it usually opens, when it does not.
        only_sometimes: it opens, except where other alarms have no data.
        silenced: why its actions are not carried out when it opens, or None.
    """

    way: Way
    why: str = ""
    only_sometimes: bool = False
    silenced: str | None = None


class _NotJudged(Exception):
    """A rule that cannot be judged; the message says why."""


class Composites:
    """The composite alarms of a region: what they do when one alarm goes into ALARM.

    Args:
        raw_alarms: the composite alarms as DescribeAlarms gives them.
        states: the present states of all alarms, by name.
    """

    def __init__(self, raw_alarms: Sequence[Mapping[str, Any]], states: Mapping[str, str]) -> None:
        self._raw = {str(raw.get("AlarmName")): raw for raw in raw_alarms}
        self._states = states
        self._rules: dict[str, AlarmRule] = {}
        self._errors: dict[str, str] = {}
        self._whole: dict[str, AlarmRule | _NotJudged] = {}
        for name, raw in self._raw.items():
            try:
                self._rules[name] = parse_rule(str(raw.get("AlarmRule") or ""))
            except AlarmRuleError as error:
                self._errors[name] = str(error)

    def above(self, alarm: str, alike: Collection[str] = ()) -> list[dict[str, Any]]:
        """The composites that refer to an alarm, directly or through others, by name.

        Args:
            alarm: name of a metric alarm.
            alike: other alarms that change together with it.
        """
        names: set[str] = set()
        frontier = {alarm}
        while frontier:
            frontier = {name for name, rule in self._rules.items() if rule.alarm_names & frontier} - names
            names |= frontier
        unread = {name for name in self._errors if alarm in str(self._raw[name].get("AlarmRule"))}
        return [self._entry(name, alarm, alike) for name in sorted(names | unread)]

    def rules(self, names: Iterable[str]) -> dict[str, str]:
        """The rules of these composites and of all that they rest on, as they are written; names of other alarms are left out."""
        found: dict[str, str] = {}
        frontier = set(names)
        while frontier := frontier & self._raw.keys() - found.keys():
            found |= {name: str(self._raw[name].get("AlarmRule") or "") for name in frontier}
            frontier = {part for name in frontier & self._rules.keys() for part in self._rules[name].alarm_names}
        return found

    def in_metric_alarms(self, name: str) -> AlarmRule | str:
        """The rule of a composite in terms of metric alarms alone; text: why it is not known."""
        try:
            return self._resolved(name, ())
        except (_NotJudged, RuleTooLarge) as error:
            return str(error)

    def _entry(self, name: str, alarm: str, alike: Collection[str]) -> dict[str, Any]:
        raw = self._raw[name]
        suppressor = raw.get("ActionsSuppressor")
        suppressor_name = str(suppressor).rpartition(":alarm:")[2] if suppressor else None
        actions = raw.get("AlarmActions")
        opening = Opening(Way.STAYS_SHUT, "its rule cannot be read")
        if name in self._rules:
            opening = self._opening(name, alarm, alike, suppressor_name)
        return {
            "alarm": name,
            "arn": raw.get("AlarmArn"),
            "description": raw.get("AlarmDescription"),
            "actions_enabled": raw.get("ActionsEnabled") is not False,
            "actions": [str(arn) for arn in actions] if isinstance(actions, list | tuple) else [],
            "suppressor": suppressor_name,
            "suppressor_state": self._states.get(suppressor_name) if suppressor_name else None,
            "suppressor_wait": raw.get("ActionsSuppressorWaitPeriod") if suppressor_name else None,
            "suppressor_extension": raw.get("ActionsSuppressorExtensionPeriod") if suppressor_name else None,
            "suppressed_by": raw.get("ActionsSuppressedBy"),
            "state": raw.get("StateValue"),
            "rule": raw.get("AlarmRule"),
            "rule_error": self._errors.get(name),
            **asdict(opening),
        }

    def _opening(self, name: str, alarm: str, alike: Collection[str], suppressor: str | None) -> Opening:
        try:
            rule = self._resolved(name, ())
            opening = _judged(rule, alarm, alike)
            if opening.way is not Way.OPENS:
                return opening
            silenced, sometimes = self._silenced(suppressor, alarm, alike) if suppressor else (None, None)
            if silenced:
                return replace(opening, silenced=silenced)
            present = {part: self._states.get(part, "OK") for part in rule.alarm_names}
            if not rule.evaluate(present | {alarm: "ALARM"}):
                return replace(
                    opening, silenced=f"it would stay out of ALARM as its other parts are now ({_in_words(present, {alarm})})"
                )
            return Opening(opening.way, sometimes, only_sometimes=True) if sometimes else opening
        except (_NotJudged, RuleTooLarge) as error:
            return Opening(Way.NOT_JUDGED, str(error))

    def _silenced(self, suppressor: str, alarm: str, alike: Collection[str]) -> tuple[str | None, str | None]:
        """Why the suppressor silences the alarm whenever it fires; and why it does only where other alarms have no data."""
        rule = self._resolved(suppressor, ()) if suppressor in self._raw else alarm_in_alarm(suppressor)
        with_it = rule.assume({alarm: "ALARM"})
        own = with_it.both(rule.assume({alarm: "OK"}).negated()).witness({})
        if own is not None:
            return f"its suppressor {suppressor} goes into ALARM with the alarm{_while(own)}", None
        if with_it.witness(_together(alike), ("OK",)) is not None:
            return f"its suppressor {suppressor} is in ALARM when the alarm is", None
        lacking = with_it.witness({}, _NOT_ALARM)
        return None, None if lacking is None else f"its suppressor {suppressor} is in ALARM{_while(lacking)}"

    def _resolved(self, name: str, path: tuple[str, ...]) -> AlarmRule:
        """The rule of a composite in terms of metric alarms alone.

        Raises:
            _NotJudged: it depends on itself, on a rule that cannot be read, or on too many composites.
        """
        if name in path:
            raise _NotJudged(f"composite {name} depends on itself")
        if len(path) >= MOST_LEVELS:
            raise _NotJudged(f"more than {MOST_LEVELS} composites above each other")
        if name in self._errors:
            raise _NotJudged(f"the rule of composite {name} cannot be read")
        known = self._whole.get(name)
        if known is None:
            try:
                parts = {part: self._resolved(part, (*path, name)) for part in self._rules[name].alarm_names & self._raw.keys()}
                known = self._rules[name].with_rules(parts)
            except (_NotJudged, RuleTooLarge) as error:
                known = _NotJudged(str(error))
            self._whole[name] = known
        if isinstance(known, _NotJudged):
            raise known
        return known


def _judged(rule: AlarmRule, alarm: str, alike: Collection[str]) -> Opening:
    """What a rule says when the alarm goes from OK to ALARM; its parts are metric alarms."""
    quiet = dict.fromkeys(rule.alarm_names, "OK")
    if rule.evaluate(quiet):
        always = _or_none(rule.negated()) is None
        return Opening(
            Way.OPEN_BEFORE, "it is in ALARM " + ("whatever its parts say" if always else "while all its parts are OK")
        )
    with_it = rule.assume({alarm: "ALARM"})
    if not rule.evaluate(quiet | {alarm: "ALARM"}):
        needed = _or_none(with_it)
        return Opening(
            Way.STAYS_SHUT, f"it is in ALARM only{_while(needed)}" if needed else "it does not go into ALARM when the alarm does"
        )
    against = with_it.negated().witness(_together(alike), ("OK",))
    if against is not None:
        return Opening(Way.STAYS_SHUT, f"it is not in ALARM{_while(against)}, which changes together with the alarm")
    lacking = with_it.negated().witness({}, _NOT_ALARM)
    if lacking is not None:
        return Opening(Way.OPENS, f"it is not in ALARM{_while(lacking)}", only_sometimes=True)
    return Opening(Way.OPENS)


def _or_none(rule: AlarmRule) -> dict[str, str] | None:
    """States in which the rule holds, for a message; None if there are none, {} if the rule is too large to find them."""
    try:
        return rule.witness({})
    except RuleTooLarge:
        return {}


def _together(alike: Iterable[str]) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(alike, ("OK", "ALARM"))


def _while(states: Mapping[str, str]) -> str:
    words = _in_words({name: state for name, state in states.items() if state != "OK"}, ())
    return f" while {words}" if words else ""


def _in_words(states: Mapping[str, str], leaving_out: Collection[str]) -> str:
    shown = [f"{name} is {state}" for name, state in sorted(states.items()) if name not in leaving_out]
    return first_few(shown, _SHOWN)
