"""Does anybody hear of an alarm: its own actions, and those of the composite alarms above it. Pure.

A way to people counts if it opens when the alarm goes from OK to ALARM, and if what is published then is delivered. One way
that works is enough. `composites` finds out what composites do, `delivery` what topics do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from phase5_ops.clock import parse_iso
from phase5_ops.cloudwatch.mute_schedule import parse_schedule
from phase5_ops.evidence.table import filled
from phase5_ops.sections.slo.alarms.composites import Way
from phase5_ops.sections.slo.alarms.context import finding_at
from phase5_ops.sections.slo.alarms.delivery import Sender, delivery
from phase5_ops.sections.slo.alarms.description import acts_on_machines, is_topic
from phase5_ops.sections.slo.alarms.evidence import SloAlarm
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Verdict


class DeliveryCode(FindingCodes):
    """What can keep an alarm from reaching anyone."""

    ALARM_ACTIONS_DISABLED = FindingCode(
        Verdict.FAIL, "The alarm's actions are switched off.", "Run EnableAlarmActions for the alarm."
    )
    ALARM_ACTIONS_MISSING = FindingCode(
        Verdict.FAIL,
        "The alarm has no action for ALARM of which anybody hears (OK actions do not count, nor do those that only act on an"
        " instance or scale), and no composite above it has one that it sets off alone.",
        "Add an SNS topic to AlarmActions.",
    )
    ALARM_ACTION_GOES_NOWHERE = FindingCode(
        Verdict.FAIL,
        "The alarm publishes to an SNS topic that delivers nothing: it does not exist, is in another region, CloudWatch may not"
        " publish to it or use its key, or no confirmed subscription takes the alarm's message to something that is there.",
        "Mend what the finding names: the topic, its policy, its key (a customer's, that allows CloudWatch), or a subscription.",
    )
    ALARM_DELIVERY_NOT_JUDGED = FindingCode(
        Verdict.INCONCLUSIVE,
        "Whether the alarm's SNS topic delivers depends on a condition or filter whose outcome is not known here, or on a topic,"
        " queue, function or key of another account, which does not let it be read.",
        "Publish a test (SetAlarmState) and see it arrive; write the policy so that it names the alarm or its account; let"
        " the other account's policy allow the reading; or add a subscription that needs neither.",
        not_tried=True,
    )
    ALARM_ACTION_NOT_FOLLOWED = FindingCode(
        Verdict.WARN,
        "The alarm's only actions that may work are not SNS topics, and whether they reach anyone is not checked.",
        "Trigger the action yourself (SetAlarmState) and see that it reaches the people on call.",
        not_tried=True,
    )
    ALARM_ACTIONS_SUPPRESSED = FindingCode(
        Verdict.FAIL,
        "The alarm notifies only through a composite alarm whose actions are suppressed, now or whenever the alarm fires.",
        "Bring the suppressor alarm back to OK, choose a suppressor that does not depend on the alarm, or give the alarm an"
        " action of its own.",
    )
    ALARM_WAY_OPEN_BEFORE = FindingCode(
        Verdict.FAIL,
        "The alarm notifies only through a composite alarm that is in ALARM already while all its parts are OK, so that nothing"
        " changes, and nobody is told, when the alarm fires.",
        "Write the composite's rule so that it is OK while its parts are, or give the alarm an action of its own.",
    )
    ALARM_WAY_NOT_JUDGED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The alarm notifies only through a composite alarm whose rule cannot be looked through: it depends on itself, on a"
        " rule that cannot be read, or has too many parts. Such a composite does not count as a way to people.",
        "Make the rule simpler, or give the alarm an action of its own.",
        not_tried=True,
    )
    ALARM_WAY_NEEDS_DATA = FindingCode(
        Verdict.WARN,
        "The composite alarm that notifies for the alarm stays silent while another alarm of its rule has INSUFFICIENT_DATA.",
        "Ask for NOT ALARM(...) instead of OK(...), or give the alarm an action of its own.",
    )
    ALARM_MUTED = FindingCode(
        Verdict.FAIL,
        "A mute rule silences the alarm now or for most of a week (FAIL), will do so later (WARN), or has a schedule that"
        " cannot be read (INCONCLUSIVE).",
        "Delete the mute rule, or wait for its end.",
        also=(Verdict.WARN, Verdict.INCONCLUSIVE),
    )


#: Ways in which a composite with actions does not tell of an alarm, and the code of each.
_NO_WAY = {Way.OPEN_BEFORE: DeliveryCode.ALARM_WAY_OPEN_BEFORE, Way.NOT_JUDGED: DeliveryCode.ALARM_WAY_NOT_JUDGED}

_WEEK = timedelta(weeks=1)
_MOST_MUTED = 0.5  # of a week, beyond which a mute rule is no maintenance window


class Reach(StrEnum):
    """Whom the actions of an alarm reach."""

    PEOPLE = "people"
    NOT_KNOWN = "not_known"
    NOT_FOLLOWED = "not_followed"  # none is an SNS topic that may work
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Destination:
    """What becomes of the actions of an alarm, and why, where it is not known that they reach people."""

    reach: Reach
    why: str = ""


def told(row: SloAlarm, *, longest_wait_seconds: int, now: datetime) -> list[Finding]:
    """Nothing (or warnings) if the alarm, or a composite that it sets off alone, reaches someone; otherwise what is wrong.

    Args:
        row: of the evidence table `slo_alarms`.
        longest_wait_seconds: how long a composite may wait for its suppressor before it tells anyone.
        now: evaluation time.
    """
    parents = [parent for parent in filled(row.parents) if parent["actions"]]
    own = own_path(row)
    opening = [parent for parent in parents if parent["way"] == Way.OPENS]
    outcomes = [_path(row, path, longest_wait_seconds, now) for path in (own, *opening)]
    clean = [found for found in outcomes if not _blocks(found)]
    if clean:
        return min(clean, key=len)
    if not all(map(acts_on_machines, own["actions"])):
        return outcomes[0]
    ways = outcomes[1:] or [[_no_way(row, parent)] for parent in parents if parent["way"] in _NO_WAY]
    return min(ways, key=len) if ways else outcomes[0]


def _blocks(findings: Sequence[Finding]) -> bool:
    return any(finding.verdict.blocks for finding in findings)


def _no_way(row: SloAlarm, parent: Mapping[str, Any]) -> Finding:
    expected = "an action of its own, or a composite alarm that goes from OK to ALARM with it"
    return finding_at(
        _NO_WAY[Way(parent["way"])], row, expected, f"composite {parent['alarm']} ({parent['rule']}): {parent['why']}"
    )


def _path(row: SloAlarm, path: Mapping[str, Any], longest_wait: int, now: datetime) -> list[Finding]:
    """What is wrong with one way of telling people: the alarm's own actions, or a composite's."""
    via = "" if path["alarm"] == row.alarm else f"composite {path['alarm']}: "
    if not path["actions"]:
        return [finding_at(DeliveryCode.ALARM_ACTIONS_MISSING, row, "at least one action for ALARM", f"none{_aside(row)}")]
    findings = []
    if not path["actions_enabled"]:
        findings.append(finding_at(DeliveryCode.ALARM_ACTIONS_DISABLED, row, "actions enabled", f"{via}ActionsEnabled is false"))
    if reason := _suppressed(path, longest_wait):
        findings.append(finding_at(DeliveryCode.ALARM_ACTIONS_SUPPRESSED, row, "actions that are carried out", f"{via}{reason}"))
    if path.get("only_sometimes"):
        findings.append(
            finding_at(DeliveryCode.ALARM_WAY_NEEDS_DATA, row, "a rule that asks for the alarm alone", f"{via}{path['why']}")
        )
    return [*findings, *_destinations(row, path, via), *_mutes(row, path["alarm"], via, now)]


def _aside(row: SloAlarm) -> str:
    """Why the composites above do not count, for an alarm without actions of its own."""
    parents = filled(row.parents)
    unread = [parent["alarm"] for parent in parents if parent["rule_error"]]
    shut = [
        f"composite {parent['alarm']}: {parent['why']}" for parent in parents if parent["actions"] and not parent["rule_error"]
    ]
    reasons = [f"the rule of composite {', '.join(unread)} cannot be read"] if unread else []
    return "".join(f"; {reason}" for reason in (*reasons, *shut[:3]))


def _suppressed(path: Mapping[str, Any], longest_wait: int) -> str | None:
    if path.get("silenced"):
        return str(path["silenced"])
    if path.get("suppressor_state") == "ALARM" or path.get("suppressed_by"):
        return f"suppressed by {path.get('suppressor')} ({path.get('suppressed_by') or 'Alarm'})"
    wait = path.get("suppressor_wait")
    if isinstance(wait, int | float) and wait > longest_wait:
        return f"waits {wait:g} s for its suppressor {path.get('suppressor')} before it tells anyone"
    return None


def own_path(row: SloAlarm) -> Mapping[str, Any]:
    """The way of an alarm's own actions, in the words in which `composites` has those of the composites above it."""
    return {"alarm": row.alarm, "actions": filled(row.alarm_actions), "actions_enabled": row.actions_enabled}


def destination(row: SloAlarm, path: Mapping[str, Any]) -> Destination:
    """What becomes of the actions of one way of telling people; there is at least one."""
    actions: Sequence[str] = path["actions"]
    topics = filled(row.topics)
    sender = _sender(row, path)
    followed = [arn for arn in actions if is_topic(arn)]
    answers = [delivery(arn, topics[arn], sender) for arn in followed]
    if any(not answer.fault and not answer.unknown for answer in answers):
        return Destination(Reach.PEOPLE)
    unknown = [answer.unknown for answer in answers if not answer.fault and answer.unknown]
    if unknown:
        return Destination(Reach.NOT_KNOWN, "; ".join(unknown))
    if len(followed) < len(actions) and not all(acts_on_machines(arn) for arn in actions if not is_topic(arn)):
        return Destination(Reach.NOT_FOLLOWED, ", ".join([arn for arn in actions if not is_topic(arn)][:5]))
    silent = [f"{arn} tells nobody" for arn in actions if acts_on_machines(arn)]
    return Destination(Reach.NOBODY, "; ".join([*(str(answer.fault) for answer in answers), *silent]))


#: What is found where it is not known that a way reaches people: the code, and what is expected.
_UNREACHED = {
    Reach.NOT_KNOWN: (DeliveryCode.ALARM_DELIVERY_NOT_JUDGED, "an SNS topic that delivers"),
    Reach.NOT_FOLLOWED: (DeliveryCode.ALARM_ACTION_NOT_FOLLOWED, "an SNS topic"),
    Reach.NOBODY: (DeliveryCode.ALARM_ACTION_GOES_NOWHERE, "an SNS topic that delivers to a confirmed subscription"),
}


def _destinations(row: SloAlarm, path: Mapping[str, Any], via: str) -> list[Finding]:
    found = destination(row, path)
    if found.reach is Reach.PEOPLE:
        return []
    if all(map(acts_on_machines, path["actions"])):
        code, expected = DeliveryCode.ALARM_ACTIONS_MISSING, "at least one action for ALARM that tells people"
    else:
        code, expected = _UNREACHED[found.reach]
    return [finding_at(code, row, expected, f"{via}{found.why}")]


def _sender(row: SloAlarm, path: Mapping[str, Any]) -> Sender:
    """Who publishes: the alarm, or the composite above it, in the same region and account."""
    region, account = row.region, row.account
    if path["alarm"] == row.alarm:
        known = {} if row.expression else {"MetricName": row.metric, "Namespace": row.namespace, "Period": row.period}
        return Sender(filled(row.alarm), row.arn, region, account, row.description, known)
    beside = row.arn and row.arn.rpartition(":alarm:")[0] + f":alarm:{path['alarm']}"
    return Sender(path["alarm"], path["arn"] or beside, region, account, path["description"], {})


def _mutes(row: SloAlarm, alarm: str, via: str, now: datetime) -> list[Finding]:
    findings = []
    for rule in filled(row.mute_rules):
        if rule["alarm"] != alarm or rule["status"] == "EXPIRED":
            continue
        schedule = " ".join(str(rule[key]) for key in ("expression", "duration", "timezone") if rule[key])
        until = f", expires {rule['expires']}" if rule["expires"] else ""
        verdict, share = _silence(rule, now)
        seen = f"{via}mute rule {rule['name']} is {rule['status']} ({schedule or 'no schedule'}{until}){share}"
        findings.append(finding_at(DeliveryCode.ALARM_MUTED, row, "no mute rule on the alarm", seen, verdict))
    return findings


def _silence(rule: Mapping[str, Any], now: datetime) -> tuple[Verdict, str]:
    """The verdict on a mute rule, and its share of a week: a rule that mutes nothing now may still mute most of the time."""
    if rule["status"] != "SCHEDULED":
        return Verdict.FAIL, ""
    try:
        schedule = parse_schedule({key.title(): rule[key] for key in ("expression", "duration", "timezone")})
        start = max(now, parse_iso(rule["starts"])) if rule.get("starts") else now
    except ValueError as error:
        return Verdict.INCONCLUSIVE, f": {error}"
    share = schedule.share(start, _WEEK)
    return (Verdict.FAIL, f", which is {share:.0%} of a week") if share > _MOST_MUTED else (Verdict.WARN, "")
