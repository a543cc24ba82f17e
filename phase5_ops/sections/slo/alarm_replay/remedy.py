"""What code can mend of alarms_would_have_fired: an alarm beside those that missed a breach or cannot be replayed. Pure.

The alarm is the one that row 1.2 prints, and its judge finds nothing wrong with it: it fires within five minutes, and
can be replayed for thirty days.
"""

from collections.abc import Iterator

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.remedies.model import CannotMend, MendingCase, Remedy, answering
from phase5_ops.sections.slo.alarm_replay.codes import ReplayCode
from phase5_ops.sections.slo.alarm_replay.evidence import AlarmReplays
from phase5_ops.sections.slo.alarm_replay.judge import by_subject, subject_findings
from phase5_ops.sections.slo.alarms.evidence import SloAlarms
from phase5_ops.sections.slo.alarms.remedy import NewAlarms

_MENDED = frozenset(
    code.code
    for code in (
        ReplayCode.BREACH_NOT_CAUGHT,
        ReplayCode.BREACH_CAUGHT_LATE,
        ReplayCode.BREACH_NOT_REPLAYED,
        ReplayCode.ALARM_NOT_REPLAYED,
    )
)
_REPLAYED_ANEW = "run again once it is there: what happened before is replayed on it"


def mend_alarm_replay(case: MendingCase) -> Iterator[Remedy | CannotMend]:
    """A new alarm for every tool and signal of which the alarms missed a breach, told of it late, or cannot be replayed."""
    replays: AlarmReplays = case.tables["alarm_replay"]
    table: SloAlarms = case.tables["slo_alarms"]
    new, stored = NewAlarms(case), set(answering(case.findings))
    for (tool, signal), rows in by_subject(replays).items():
        links = ConsoleLinks(case.region)
        found = subject_findings(rows, policy=case.settings.alarm_replay, alarms=case.settings.alarms, links=links)
        answers = tuple(pair for pair in answering(found) if pair[0] in _MENDED and pair in stored)
        watched = next((row for row in table.rows if row.tool == tool and row.signal == signal), None)
        if answers and watched is not None:
            yield new.beside(watched, answers, (_REPLAYED_ANEW,))
