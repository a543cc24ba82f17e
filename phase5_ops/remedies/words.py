"""What every format says of a plan in words, and how a resource that a format cannot write is named. Pure."""

from collections.abc import Iterator

from phase5_ops.remedies.model import (
    ActiveCostTag,
    AlarmDescription,
    NewAlarm,
    NewBudget,
    NewDashboard,
    Remedy,
    RemedyPlan,
    Resource,
    RolePolicy,
    RowRemedies,
)
from phase5_ops.text import printable

_MOST_SEEN = 200  # characters of what was seen; the report has the rest


def named(resource: Resource) -> str:
    """A resource in a few words: `alarm "cc-native crm.create_task latency"`."""
    match resource:
        case NewAlarm():
            return f'alarm "{resource.request["AlarmName"]}"'
        case AlarmDescription():
            return f'description of the alarm "{resource.alarm}"'
        case NewDashboard():
            return f'dashboard "{resource.name}"'
        case NewBudget():
            return f'cost budget "{resource.name}" with an alert'
        case ActiveCostTag():
            return f'cost allocation tag "{resource.key}"'
        case RolePolicy():
            return f'inline policy "{resource.name}" of the role "{resource.role}"'
        case _:
            return f"text {resource.place} of the runbook {resource.runbook}"


def about(remedy: Remedy) -> Iterator[str]:
    """What a remedy answers, and what to know before it is applied; a line each."""
    for code, subject in remedy.answers:
        yield printable(f"mends {code} {subject}")
    yield from (printable(f"CAUTION: {caution}") for caution in remedy.cautions)


def by_hand(row: RowRemedies) -> Iterator[str]:
    """The findings of a row that need a person; a line each."""
    for each in row.by_hand:
        why = f" (no code: {each.why})" if each.why else ""
        found = each.finding
        seen = f" ({found.seen[:_MOST_SEEN]})" if found.seen else ""
        yield printable(f"{found.verdict} {found.code} {found.subject}{seen}{why}: {each.what_to_do}")


def said(plan: RemedyPlan) -> list[str]:
    """The plan in words, without the resources; a line each."""
    lines = [printable(plan.headline), *(printable(f"NOTICE: {notice}") for notice in plan.notices)]
    for row in plan.rows:
        lines.append(printable(row.outcome))
        lines += [f"  {line}" for line in by_hand(row)]
    return lines
