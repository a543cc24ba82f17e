"""The evidence table `alarm_replay`: the breaches of every tool and signal, and what each alarm would have done. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Annotated, Any

from phase5_ops.ccnative.metrics import CONNECTOR_DIMENSION, TOOL_DIMENSION
from phase5_ops.ccnative.names import canonical_tool
from phase5_ops.clock import iso
from phase5_ops.cloudwatch.alarm_evaluation import EXTRA_PERIODS
from phase5_ops.cloudwatch.metric_query import MetricSet
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, filled
from phase5_ops.policy import SloPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.slo.alarm_replay.calls import METRICS_OF, Breach, missed_windows, signal_calls
from phase5_ops.sections.slo.alarm_replay.notified import Firing, Notifying
from phase5_ops.sections.slo.alarm_replay.plan import TOLD_EARLY, Watching
from phase5_ops.sections.slo.alarm_replay.recorded_metrics import RecordedMetrics
from phase5_ops.sections.slo.alarm_replay.recorded_states import Differences, Recorded, differences
from phase5_ops.sections.slo.alarm_replay.replay import ReplayedStates, replay
from phase5_ops.sections.slo.alarm_replay.timeline import Span, merged, overlaps, without
from phase5_ops.sections.slo.alarms.evidence import SloAlarm, SloAlarms
from phase5_ops.sections.slo.alarms.judge import DELIVERY_READS, required_rows
from phase5_ops.sections.slo.summary.plan import FIVE_MINUTES, HOUR

_JSON = Column(json={"sort_keys": True, "separators": (",", ":")})

Subject = tuple[str, str]
"""A tool and a signal."""

CAUGHT, MISSED, NOT_KNOWN = "caught", "missed", "not_known"


@dataclass(frozen=True, slots=True)
class AlarmReplay:
    """One row of `alarm_replay`: a tool, a signal and an alarm that watches it; without such an alarm its columns are null.

    Moments are ISO-8601 UTC. The breaches stand in every row of their tool and signal.
    """

    tool: Annotated[str, "canonical name of a registered tool"]
    signal: Annotated[str, "latency, error"]
    breaches: Annotated[
        list[dict[str, Any]],
        "times in which the tool missed its SLO: [{start, end, seconds, worst_share, calls, bad}]; shares 0-1; windows in between"
        " that are slow only by failed calls count nowhere",
        _JSON,
    ]
    alarm: Annotated[str | None, "its name"] = None
    url: Annotated[str | None, "its page in the console"] = None
    window_seconds: Annotated[int | None, "seconds: period x evaluation periods"] = None
    problem: Annotated[str | None, "why it could not be replayed at all"] = None
    replayed: Annotated[list[list[str]], "the spans in which its state is known: [[from, until]]", _JSON] = field(
        default_factory=list
    )
    replayed_days: Annotated[float | None, "number of days in all of these spans"] = None
    outcomes: Annotated[
        list[dict[str, Any]],
        "of each breach: [{start, outcome: caught, missed or not_known, told, late_seconds, seconds, why, recorded: when it went"
        " into ALARM then, by CloudWatch's history; null: it did not, or that is not known}]",
        _JSON,
    ] = field(default_factory=list)
    firings: Annotated[
        list[dict[str, Any]],
        "times in which it would have been in ALARM: [{start, end, told, why, breach: there was one, however few calls it had,"
        " seconds_without_breach}]",
        _JSON,
    ] = field(default_factory=list)
    compared_since: Annotated[str | None, "from when on CloudWatch's own history was laid beside"] = None
    recorded: Annotated[list[list[str]], "when CloudWatch says it was in ALARM: [[from, until]]", _JSON] = field(
        default_factory=list
    )
    unexplained: Annotated[list[list[str]], "of these, where the replay is not in ALARM: [[from, until]]", _JSON] = field(
        default_factory=list
    )
    absent: Annotated[
        list[dict[str, Any]],
        "firings of the replay near whose beginning it did not go into ALARM by CloudWatch's history: [{start, end, breach:"
        " there was one of this tool and signal, breaches: the beginnings of all}]",
        _JSON,
    ] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ReplayFacts:
    """What is known beside the rows.

    Attributes:
        start, end: of the time that was replayed, ISO-8601.
        complete_from: from here on no dimension set is missing, ISO-8601; those silent for two weeks are known from earlier runs.
        metrics_requested: of CloudWatch, beyond those of `tool_slo_summary`.
        hours_read_again: of metrics with a tenant, since a breach was possible in them.
        hours_not_read: of these, since they were too many.
        metrics_not_read: how many that would have been.
        windows_held_to_none: windows of five minutes, of all tools, that miss the SLO only by failed and slow calls together.
    """

    start: str = ""
    end: str = ""
    complete_from: str = ""
    metrics_requested: int = 0
    hours_read_again: int = 0
    hours_not_read: int = 0
    metrics_not_read: int = 0
    windows_held_to_none: int = 0


ALARM_REPLAY = DeclaredTable(AlarmReplay, ReplayFacts)
AlarmReplays = GatheredTable[AlarmReplay, ReplayFacts]


def nothing_replayed(reads: Sequence[Read], observed_at: datetime) -> AlarmReplays:
    """The table where something that it is made of was not read whole."""
    return ALARM_REPLAY.gathered([], ReplayFacts()).with_reads(reads, observed_at)


def tools_as_emitted(sets: Sequence[MetricSet]) -> dict[tuple[str, str], list[MetricSet]]:
    """The dimension sets of each tool and connector as emitted."""
    found: dict[tuple[str, str], list[MetricSet]] = {}
    for one in sets:
        dimensions = dict(one.dimensions)
        found.setdefault((dimensions.get(TOOL_DIMENSION, ""), dimensions.get(CONNECTOR_DIMENSION, "")), []).append(one)
    return found


def alarm_replay_table(
    slo_alarms: SloAlarms,
    alarms: Mapping[str, Watching],
    sets: Sequence[MetricSet],
    recorded: RecordedMetrics,
    states: Mapping[str, Recorded],
    *,
    policy: SloPolicy,
    facts: ReplayFacts,
    reads: Sequence[Read],
    observed_at: datetime,
) -> AlarmReplays:
    """The evidence table.

    Args:
        slo_alarms: the table of that name.
        alarms: those of its alarms that watch a tool, by name.
        sets: every dimension set of the tool metrics.
        recorded: their values.
        states: what CloudWatch's own history says of each alarm.
        policy: what meets the SLO.
        facts: of the table.
        reads: how everything was read.
        observed_at: evaluation time.
    """
    namespace = slo_alarms.facts.metrics_namespace
    histories = {name: told.timeline for name, told in states.items()}
    replays = {name: replay(alarm, sets, recorded, namespace, histories.get(name)) for name, alarm in alarms.items()}
    unread = (str(each) for each in slo_alarms.reads if each.operation in DELIVERY_READS and each.status is not ReadStatus.OK)
    notifying = Notifying(
        slo_alarms.facts.composite_rules,
        {name: each.timeline for name, each in replays.items() if not each.problem},
        next(unread, None),
    )
    missed, windows_held_to_none = _missed(required_rows(slo_alarms), sets, recorded, policy)
    by_subject: dict[Subject, list[SloAlarm]] = {subject: [] for subject in missed}
    watched: dict[str, list[Subject]] = {}
    for row in slo_alarms.rows:
        if row.tool is not None and row.signal is not None and row.alarm is not None:
            by_subject[row.tool, row.signal].append(row)
            watched.setdefault(row.alarm, []).append((row.tool, row.signal))
    done = {
        name: _Replayed(
            alarm.row,
            replays[name],
            notifying.firings(alarm.row, replays[name].timeline),
            notifying.further(alarm.row, replays[name].further),
            {subject: missed[subject].however_few for subject in watched[name]},
            states.get(name),
            recorded.range.complete_from if _adds_up(alarm) else recorded.range.first,
            recorded.range.end,
        )
        for name, alarm in alarms.items()
    }
    rows = []
    for (tool, signal), watching in by_subject.items():
        breaches = missed[tool, signal].breaches
        shown = [_shown(breach) for breach in breaches]
        rows += [_row(tool, signal, shown, breaches, done[filled(row.alarm)]) for row in watching]
        if not watching:
            rows.append(AlarmReplay(tool, signal, shown))
    facts = replace(facts, windows_held_to_none=windows_held_to_none)
    return ALARM_REPLAY.gathered(rows, facts).with_reads(reads, observed_at)


@dataclass(frozen=True, slots=True)
class _Missed:
    """When a tool missed its SLO: the breaches, and the windows that miss it however few calls they had."""

    breaches: list[Breach]
    however_few: list[Span]


@dataclass(frozen=True)
class _Replayed:
    """All that is known of one alarm.

    Attributes:
        further: times in which one more of its time series is in ALARM.
        missed: when each tool that it watches missed its SLO, by tool and signal.
        complete_from: from here on nothing that it reads is missing.
        end: evaluation time.
    """

    row: SloAlarm
    replay: ReplayedStates
    firings: Sequence[Firing]
    further: Sequence[Firing]
    missed: Mapping[Subject, Sequence[Span]]
    recorded: Recorded | None
    complete_from: int
    end: int

    @property
    def window(self) -> int:
        """Seconds: period x evaluation periods."""
        return (self.row.period or 0) * (self.row.evaluation_periods or 0)

    @property
    def looks_back(self) -> int:
        """Seconds before an evaluation that may bear on it."""
        return (self.row.period or 0) * ((self.row.evaluation_periods or 0) + EXTRA_PERIODS)

    @cached_property
    def _missed_together(self) -> dict[Subject, list[Span]]:
        """When each tool missed its SLO; between two of these the alarm should have been OK again."""
        return {subject: merged(spans, self.looks_back) for subject, spans in self.missed.items()}

    @cached_property
    def _in_alarm(self) -> list[Span]:
        """When it is in ALARM, also where it leaves that for no longer than it looks at."""
        return merged(self.replay.timeline.firing, self.looks_back)

    def _since(self, firing: Firing) -> int:
        """Since when it has been in ALARM, out of it for no longer than it looks at."""
        return next(start for start, end in self._in_alarm if start <= firing.start < end)

    @cached_property
    def _edges(self) -> set[int]:
        """When what is known of it begins: if it is in ALARM then, since when is not known."""
        return {first for first, _ in self.replay.timeline.known}

    @cached_property
    def differences(self) -> Differences:
        """What CloudWatch's own history says otherwise."""
        if self.recorded is None:
            return Differences()
        return differences(self.recorded, self.replay.timeline.since(self.complete_from), self.looks_back)

    @cached_property
    def _of_breaches(self) -> list[Span]:
        """When it may be in ALARM because a tool missed its SLO."""
        return merged((start, end + self.looks_back) for spans in self.missed.values() for start, end in spans)

    def shown(self, firing: Firing) -> dict[str, Any]:
        """A time in ALARM as the table has it."""
        span = firing.start, min(firing.end, self.end)
        return {
            "start": iso_of(firing.start),
            "end": iso_of(span[1]),
            "told": None if firing.told is None else iso_of(firing.told),
            "why": firing.why,
            "breach": any(overlaps((firing.start, firing.end), each) for each in self._of_breaches),
            "seconds_without_breach": sum(end - start for start, end in without([span], self._of_breaches)),
        }

    def outcome(self, breach: Breach, subject: Subject) -> dict[str, Any]:
        """What the alarm would have done about a breach of a subject, until its window behind the breach's end is over."""
        until = breach.end + self.window
        shown: dict[str, Any] = dict.fromkeys(("told", "late_seconds", "seconds", "recorded"))
        shown |= {"start": iso_of(breach.start), "why": ""}
        near = [each for each in (*self.firings, *self.further) if overlaps((each.start, each.end), (breach.start, until))]
        told = [
            (max(each.told, self._begun_later(each)), each)
            for each in near
            if each.told is not None
            and each.told <= self.end
            and each.told < until
            and not self._begun_unseen(each, breach)
            and not self._about_another(each, breach, subject)
        ]
        if told:
            at, firing = min(told, key=lambda pair: pair[0])
            at = max(at, breach.start)
            seconds = min(firing.end, self.end) - firing.start
            begun = self.differences.begun.get(firing.start)
            shown |= {"recorded": None if begun is None else iso_of(begun)}
            return shown | {"outcome": CAUGHT, "told": iso_of(at), "late_seconds": at - breach.start, "seconds": seconds}
        if why := self._not_known(breach, subject, near):
            return shown | {"outcome": NOT_KNOWN, "why": why}
        whys = (each.why or self._about_another(each, breach, subject) or "people are told when it is over" for each in near)
        return shown | {"outcome": MISSED, "why": next(whys, "it stays out of ALARM")}

    def _not_known(self, breach: Breach, subject: Subject, near: Sequence[Firing]) -> str:
        """Why it is not known that it tells nobody of a breach; empty where it is."""
        looked_at = breach.start, breach.end + self.window
        if why := self.replay.problem or next((each.why for each in near if not each.known), ""):
            return why
        if any(overlaps(span, looked_at) for span in self.replay.kept):
            return "it kept a state that it had before, and which is not known"
        if any(overlaps(span, looked_at) for span in self.replay.unsure):
            return "its query finds more time series than it returns, and does not say by ORDER BY which"
        if any(self._begun_unseen(each, breach) and not self._about_another(each, breach, subject) for each in near):
            return "it was in ALARM as what is known of it begins"
        if not self.replay.timeline.knows(breach.start, min(looked_at[1], self.end)):
            return "the metrics of that time cannot be had by its period any more"
        if breach.start < self.complete_from:
            return "it adds up metrics, and of those that were silent for the last two weeks not all are known"
        if not near and self._between_periods(breach):
            period = f"{self.row.period} s"
            return f"CloudWatch's periods of {period} end each minute, and those of the replay each {period}"
        return ""

    def _between_periods(self, breach: Breach) -> bool:
        """Whether as many periods as alarm may be of the breach where CloudWatch lays them, and not where the replay does.

        A period that is longer than a breach's windows has its beginning elsewhere than these.
        """
        period, lasts = self.row.period or 0, breach.end - breach.start
        alarming = period * (self.row.datapoints_to_alarm or 0)
        return period > FIVE_MINUTES and lasts + FIVE_MINUTES < alarming + period < lasts + 3 * period

    def _begun_unseen(self, firing: Firing, breach: Breach) -> bool:
        """Whether a time in ALARM begins where what is known begins; one before a breach may be part of a longer one."""
        before = firing.start < breach.start - self.looks_back
        return (self._since(firing) if before else firing.start) in self._edges

    def _begun_later(self, firing: Firing) -> int:
        """When CloudWatch's history has it go into ALARM, if that is later by more than the replay can know, a period."""
        begun = self.differences.begun.get(firing.start, firing.start)
        return begun if begun - firing.start > (self.row.period or 0) else firing.start

    def _about_another(self, firing: Firing, breach: Breach, subject: Subject) -> str:
        """Why a time in ALARM tells nobody of a breach; empty where it does.

        It began with the breach, or with another of the same tool from which on it stayed in ALARM, or told of it early. What it
        may have begun for before the breach must have left the range that the alarm looks at, or the breach must be over by then.
        """
        if firing.start > breach.start:  # at its very beginning nothing of it is recorded yet
            return "it goes into ALARM when it is over" if firing.start > breach.end + (self.row.period or 0) else ""
        if firing.end < breach.end and firing.end <= breach.start + self.looks_back:
            return "what it was in ALARM for was over as it began"
        if firing.start >= breach.start - self.looks_back:
            return ""
        began = firing.start - self.looks_back, firing.start + 1
        missed = self._missed_together[subject]
        stayed = any(overlaps(span, began) and overlaps(span, (breach.start, breach.end)) for span in missed)
        return "" if stayed or self._told_early(firing, breach) else "it was in ALARM long before"

    def _told_early(self, firing: Firing, breach: Breach) -> bool:
        """Whether it is stricter than the SLO: in ALARM from some hours before a breach to its end, and for no other tool."""
        return len(self.missed) == 1 and self._since(firing) >= breach.start - TOLD_EARLY and firing.end >= breach.end


def _row(tool: str, signal: str, shown: list[dict[str, Any]], breaches: Sequence[Breach], alarm: _Replayed) -> AlarmReplay:
    row, known, recorded = alarm.row, alarm.replay.timeline.known, alarm.recorded
    return AlarmReplay(
        tool,
        signal,
        shown,
        alarm=row.alarm,
        url=row.url,
        window_seconds=alarm.window or None,
        problem=alarm.replay.problem or None,
        replayed=_isos(known),
        replayed_days=sum(min(end, alarm.end) - start for start, end in known) / timedelta(days=1).total_seconds(),
        outcomes=[alarm.outcome(breach, (tool, signal)) for breach in breaches],
        firings=[alarm.shown(each) for each in alarm.firings],
        compared_since=iso_of(recorded.since) if recorded else None,
        recorded=_isos(recorded.timeline.firing) if recorded else [],
        unexplained=_isos(alarm.differences.unexplained),
        absent=[_absent(span, breaches, alarm) for span in alarm.differences.absent],
    )


def _absent(span: Span, breaches: Sequence[Breach], alarm: _Replayed) -> dict[str, Any]:
    """A firing that CloudWatch's history does not have, as it bears on one tool and signal."""
    start, end = span
    of = [iso_of(each.start) for each in breaches if overlaps((start - alarm.looks_back, end), (each.start, each.end))]
    return {"start": iso_of(start), "end": iso_of(end), "breach": bool(of), "breaches": of}


def _adds_up(alarm: Watching) -> bool:
    """Whether an alarm reads whatever dimension sets there are, and not one that it names."""
    return alarm.spec is not None and any(leaf.insights for leaf in alarm.spec.leaves.values())


def _missed(
    tools: Iterable[str], sets: Sequence[MetricSet], recorded: RecordedMetrics, policy: SloPolicy
) -> tuple[dict[Subject, _Missed], int]:
    """When each tool missed its SLO, by tool and signal, and how many windows no alarm is held to.

    Each name and connector that a tool is emitted under is judged alone.
    """
    emitted: dict[str, list[list[MetricSet]]] = {}
    for (name, _), members in tools_as_emitted(sets).items():
        emitted.setdefault(canonical_tool(name), []).append(members)
    found: dict[Subject, _Missed] = {}
    held_to_none = 0
    for tool in tools:
        of_tool = {signal: _Missed([], []) for signal in METRICS_OF}
        for members in emitted.get(tool, ()):
            calls = {signal: signal_calls(signal, members, recorded, policy) for signal in METRICS_OF}
            windows = missed_windows(members, calls, recorded, policy)
            held_to_none += windows.held_to_none
            for signal, missed in windows.of_signal.items():
                of_tool[signal].breaches.extend(calls[signal].breaches(missed, windows.slow_by_failed))
                few = calls[signal].breaches(calls[signal].missed(1))
                of_tool[signal].however_few.extend((breach.start, breach.end) for breach in few)
        for signal, each in of_tool.items():
            begun_within = sorted(breach for breach in each.breaches if not _began_before(breach, recorded.range.first))
            found[tool, signal] = _Missed(begun_within, each.however_few)
    return found, held_to_none


def _began_before(breach: Breach, first: int) -> bool:
    """Whether a breach that is over soon began before what is replayed, or so near that no alarm's state before it is known."""
    return breach.start < first + HOUR and breach.end <= first + 24 * HOUR


def _shown(breach: Breach) -> dict[str, Any]:
    return {
        "start": iso_of(breach.start),
        "end": iso_of(breach.end),
        "seconds": breach.seconds,
        "worst_share": breach.worst,
        "calls": breach.calls,
        "bad": breach.bad,
    }


def iso_of(moment: int) -> str:
    """Epoch seconds as the table has them."""
    return iso(datetime.fromtimestamp(moment, UTC))


def _isos(spans: Iterable[Span]) -> list[list[str]]:
    return [[iso_of(start), iso_of(end)] for start, end in spans]
