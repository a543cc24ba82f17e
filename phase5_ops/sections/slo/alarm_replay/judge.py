"""The check alarms_would_have_fired: would the alarms have told people of every breach, in time, and of nothing else? Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.clock import parse_iso
from phase5_ops.cloudwatch.metric_query import METRIC_READS
from phase5_ops.policy import AlarmPolicy, AlarmReplayPolicy
from phase5_ops.reads import read_findings
from phase5_ops.sections.slo.alarm_replay.codes import ReplayCode
from phase5_ops.sections.slo.alarm_replay.evidence import CAUGHT, NOT_KNOWN, AlarmReplay, AlarmReplays
from phase5_ops.sections.slo.alarms.judge import OTHER_READS
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HISTORY_DAYS, MINUTE
from phase5_ops.text import first_few
from phase5_ops.verdict import EvidenceLink, Finding, FindingCode, Judgement, Verdict, conclude

_WEEK_DAYS = 7
_DAY_SECONDS = 86_400
_HOUR = timedelta(hours=1)

_MUTE_READS = ("cloudwatch:ListAlarmMuteRules", "cloudwatch:GetAlarmMuteRule")

#: Reads behind the table that have no bearing on what the alarms would have done.
IGNORED_READS = frozenset(OTHER_READS) - frozenset(METRIC_READS) - frozenset(_MUTE_READS)


#: Facts that say what was not put to the test, for those who sign.
NOT_TRIED_FACTS = {
    "days_not_covered": "days of the thirty, of which metrics that have been silent for two weeks are not known",
    "minutes_held_to_none": "minutes in which a tool missed its SLO only by failed and slow calls together, as no alarm can see",
}


def judge_alarm_replay(table: AlarmReplays, *, policy: AlarmReplayPolicy, alarms: AlarmPolicy, links: ConsoleLinks) -> Judgement:
    """PASS where every breach that alarms can be held to was told of in time, and false alarms are rare.

    Args:
        table: the evidence table `alarm_replay`.
        policy: how late, how often.
        alarms: the longest window of an alarm.
        links: console URLs of the region.
    """
    findings = read_findings(table.reads, ignoring=IGNORED_READS)
    subjects = by_subject(table)
    by_alarm = {row.alarm: row for row in table.rows if row.alarm is not None}
    for rows in subjects.values():
        findings += subject_findings(rows, policy=policy, alarms=alarms, links=links)
    for row in by_alarm.values():
        findings += _false(row, policy)
        findings += _flapping(row, policy)
        findings += _unexplained(row)
    findings += _absent(table.rows)
    if table.facts.hours_not_read:
        expected = f"at most {policy.max_metrics_read_again:,} metrics by five minutes, where a breach is possible"
        seen = f"{table.facts.metrics_not_read:,} of {table.facts.hours_not_read} hours"
        findings.append(ReplayCode.HOURS_NOT_READ.at("metrics with a tenant", expected=expected, seen=seen))
    if subjects and not by_alarm:
        found = ReplayCode.NO_ALARM_TO_REPLAY
        findings.append(found.at("SLO alarms", expected="at least one alarm", seen="none", link=links.alarms()))
    breaches = [outcomes for rows in subjects.values() for _, outcomes in _by_breach(rows)]
    caught = sum(any(outcome["outcome"] == CAUGHT for _, outcome in outcomes) for outcomes in breaches)
    firings = sum(len(row.firings) for row in by_alarm.values())
    untested = bool(by_alarm) and not breaches and not firings
    not_covered = _days_not_covered(table)
    together = table.facts.windows_held_to_none * FIVE_MINUTES // MINUTE
    days = f"the {HISTORY_DAYS - not_covered} days of which all metrics are known" if not_covered else "thirty days"
    missed = f"No tool missed its SLO in {days}" + (" where an alarm of one signal can see it" if together else "")
    if untested:
        summary = f"{missed}, and no alarm would have fired: nothing put the alarms to the test."
    elif not breaches:
        summary = f"{missed}; times in which an alarm would have fired all the same: {firings}."
    else:
        summary = f"{caught} of {len(breaches)} breaches would have been told of by an alarm."
    return conclude(
        judged=len({tool for tool, _ in subjects}),
        summary=summary,
        findings=findings,
        facts={
            "breaches": len(breaches),
            "breaches_caught": caught,
            "alarms_replayed": sum(row.problem is None for row in by_alarm.values()),
            "alarms_not_replayed": sum(row.problem is not None for row in by_alarm.values()),
            "least_days_replayed": round(min((row.replayed_days or 0 for row in by_alarm.values()), default=0), 2),
            "times_in_alarm": firings,
            "times_in_alarm_without_breach": sum(len(_without_breach(row)) for row in by_alarm.values()),
            "alarms_compared_with_their_history": sum(row.compared_since is not None for row in by_alarm.values()),
            "nothing_put_to_the_test": untested,
            "days_not_covered": not_covered,
            "minutes_held_to_none": together,
            "metrics_requested": table.facts.metrics_requested,
        },
        evidence=[EvidenceLink("CloudWatch alarms", links.alarms())],
    )


def _days_not_covered(table: AlarmReplays) -> int:
    """The days at the beginning of the time replayed of which metrics may be missing."""
    facts = table.facts
    return (parse_iso(facts.complete_from) - parse_iso(facts.start)).days if facts.complete_from else 0


def by_subject(table: AlarmReplays) -> dict[tuple[str, str], list[AlarmReplay]]:
    """The rows of each tool and signal."""
    subjects: dict[tuple[str, str], list[AlarmReplay]] = {}
    for row in table.rows:
        subjects.setdefault((row.tool, row.signal), []).append(row)
    return subjects


def subject_findings(
    rows: Sequence[AlarmReplay], *, policy: AlarmReplayPolicy, alarms: AlarmPolicy, links: ConsoleLinks
) -> list[Finding]:
    """What is found of one tool and signal; the arguments are those of `judge_alarm_replay`, `rows` those of the subject."""
    return [*_not_replayed(_watching(rows)), *_of_breaches(rows, policy, alarms, links)]


def _watching(rows: Sequence[AlarmReplay]) -> list[AlarmReplay]:
    return [row for row in rows if row.alarm is not None]


def _by_breach(rows: Sequence[AlarmReplay]) -> Iterator[tuple[Mapping[str, Any], list[tuple[AlarmReplay, Mapping[str, Any]]]]]:
    """Each breach of one tool and signal, with what each alarm would have done; all rows have them in the same order."""
    watching = _watching(rows)
    for number, breach in enumerate(rows[0].breaches):
        yield breach, [(row, row.outcomes[number]) for row in watching]


def _not_replayed(watching: Sequence[AlarmReplay]) -> Iterator[Finding]:
    """Alarms of one tool and signal that were put to no test; a warning where another one was."""
    other = any(row.problem is None for row in watching)
    for row in watching:
        if row.problem is not None:
            verdict = Verdict.WARN if other else None
            yield _at(ReplayCode.ALARM_NOT_REPLAYED, row, "an alarm that can be replayed", row.problem, verdict)


def _of_breaches(
    rows: Sequence[AlarmReplay], policy: AlarmReplayPolicy, alarms: AlarmPolicy, links: ConsoleLinks
) -> Iterator[Finding]:
    """What the alarms of one tool and signal would have done about each breach."""
    for breach, outcomes in _by_breach(rows):
        about = f"{rows[0].tool}: {rows[0].signal} from {_at_minute(breach['start'])}"
        windows = [row.window_seconds for row, outcome in outcomes if row.window_seconds and outcome["outcome"] != NOT_KNOWN]
        longest = min([*windows, alarms.window_max_seconds])
        caught = [outcome["late_seconds"] for _, outcome in outcomes if outcome["outcome"] == CAUGHT]
        unknown = [f"{row.alarm}: {outcome['why']}" for row, outcome in outcomes if outcome["outcome"] == NOT_KNOWN]
        link = next((row.url for row, _ in outcomes if row.url), None) or links.alarms()
        missed = f"{_minutes(breach['seconds'])} long, {breach['bad']:,} of {breach['calls']:,} calls bad"
        if caught:
            if min(caught) > 60 * policy.max_detection_minutes:
                expected = f"people are told within {policy.max_detection_minutes} min"
                late = f"told after {_minutes(min(caught))}; the breach was {missed}"
                yield ReplayCode.BREACH_CAUGHT_LATE.at(about, expected=expected, seen=late, link=link)
        elif breach["seconds"] <= longest:
            continue  # no alarm can be held to it, whatever it did
        elif unknown:
            seen = f"{missed}; {first_few(unknown, 2)}"
            yield ReplayCode.BREACH_NOT_REPLAYED.at(about, expected="an alarm that catches it", seen=seen, link=link)
        else:
            whys = [f"{row.alarm}: {outcome['why']}" for row, outcome in outcomes]
            seen = f"{missed}; {first_few(whys, 2) if whys else 'no alarm watches it'}"
            expected = f"an alarm that tells people of what lasts longer than {_minutes(longest)}"
            yield ReplayCode.BREACH_NOT_CAUGHT.at(about, expected=expected, seen=seen, link=link)


def _false(row: AlarmReplay, policy: AlarmReplayPolicy) -> Iterator[Finding]:
    """False alarms beyond what is allowed; each whole day that one lasts counts as another."""
    whole_days = [each["seconds_without_breach"] // _DAY_SECONDS for each in row.firings]
    false = [each for each, more in zip(row.firings, whole_days, strict=True) if more or not each["breach"]]
    days = row.replayed_days or 0
    allowed = policy.max_false_alarms_a_week * max(days / _WEEK_DAYS, 1)
    if len(_without_breach(row)) + sum(whole_days) > allowed:
        expected = f"at most {policy.max_false_alarms_a_week:g} a week without a missed SLO"
        lasting = f", of {sum(whole_days)} whole days" if any(whole_days) else ""
        yield _at(ReplayCode.FALSE_ALARMS, row, expected, f"{len(false)} in {days:.1f} days{lasting}: {_listed(false)}")


def _flapping(row: AlarmReplay, policy: AlarmReplayPolicy) -> Iterator[Finding]:
    starts = [parse_iso(each["start"]) for each in row.firings]
    most = policy.max_firings_an_hour
    flaps = [first for first, last in zip(starts, starts[most:], strict=False) if last - first < _HOUR]
    if flaps:
        seen = f"more than {most} times within an hour, first from {flaps[0]:%Y-%m-%d %H:%M} UTC on"
        yield _at(ReplayCode.ALARM_FLAPS, row, f"goes into ALARM at most {most} times an hour", seen)


def _unexplained(row: AlarmReplay) -> Iterator[Finding]:
    if row.unexplained:
        spans = [{"start": start, "end": end} for start, end in row.unexplained]
        yield _at(
            ReplayCode.FIRED_WITHOUT_REASON, row, "OK, by its definition and the recorded metrics", f"ALARM {_listed(spans)}"
        )


def _absent(rows: Sequence[AlarmReplay]) -> Iterator[Finding]:
    """Alarms that should have fired and did not, by CloudWatch's own history; worst where nobody else told of the breach."""
    found: dict[str, tuple[AlarmReplay, Verdict | None]] = {}
    for row in rows:
        if row.alarm is None or not row.absent:
            continue
        others = [each for each in rows if (each.tool, each.signal) == (row.tool, row.signal) and each.alarm != row.alarm]
        breaches = (breach for each in row.absent for breach in each["breaches"])
        alone = any(not any(_told_by_history(other, breach) for other in others) for breach in breaches)
        if alone or row.alarm not in found:
            found[row.alarm] = row, None if alone else Verdict.WARN
    for row, verdict in found.values():
        meanwhile = [
            {"start": start}
            for start, end in row.recorded
            if any(start < each["end"] and each["start"] < end for each in row.absent)
        ]
        seen = f"by its history in ALARM from {_listed(meanwhile)} on" if meanwhile else "not in ALARM then, by its history"
        yield _at(ReplayCode.DID_NOT_FIRE, row, f"goes into ALARM {_listed(row.absent)}", seen, verdict)


def _told_by_history(row: AlarmReplay, breach: str) -> bool:
    """Whether an alarm tells of whatever breach begins then, and CloudWatch's history says that it went into ALARM for it."""
    return all(each["outcome"] == CAUGHT and each["recorded"] for each in row.outcomes if each["start"] == breach)


def _without_breach(row: AlarmReplay) -> list[dict[str, Any]]:
    return [each for each in row.firings if not each["breach"]]


def _at(code: FindingCode, row: AlarmReplay, expected: str, seen: str, verdict: Verdict | None = None) -> Finding:
    return code.at(f"{row.tool}: {row.alarm}", expected=expected, seen=seen, verdict=verdict, link=row.url)


def _listed(spans: Sequence[Mapping[str, Any]]) -> str:
    return first_few([_at_minute(span["start"]) for span in spans], 3)


def _at_minute(moment: str) -> str:
    return f"{parse_iso(moment):%Y-%m-%d %H:%M} UTC"


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"
