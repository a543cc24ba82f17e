"""What the runbook's sections say by the platform's contract, as Markdown to add where one is missing or empty. Pure.

Sources: the contract figures of the platform's plan; the checklist's words on an open breaker.
"""

from dataclasses import dataclass
from html import escape

from phase5_ops.ccnative.runbook import parse, slug


@dataclass(frozen=True, slots=True)
class SectionText:
    """A section of the runbook: its heading, and what it says."""

    heading: str
    body: str


ALARM_SECTION = SectionText(
    "SLO alarms (`tool_latency_ms`, `tool_error`)",
    """\
1. Find the tool and its connector in the alarm's name, and look at both on the dashboard of the tool metrics.
2. Compare with the breaker of the connector: if it is OPEN, follow the section on an open circuit breaker first.
3. Latency: see whether the slow calls are of one connector or of all; a slow connector is its owner's, page them.
4. Errors: they carry tenant_id, so see whether one tenant or all are concerned, then read the tool invoker's log of that time.
5. If the connector stays broken, disable its action types by the kill switches (`PUT /kill-switches`) of the tenants concerned.
6. Leave the alarm as it is: it goes back to OK once the tool meets its SLO again.""",
)
BREAKER_SECTION = SectionText(
    "Circuit breaker OPEN",
    """\
1. Close no breaker by hand: after its cooldown it lets one probe through, and closes itself when that succeeds.
2. Look at the connector's errors in the tool metrics, and find out whether the connected system is down or refuses us.
3. If it stays down, disable the connector's action types by the kill switch of every tenant (`PUT /kill-switches`), and page the
   connector's owner.
4. Once the connected system answers again, take the kill switches back, and watch the next probe close the breaker.""",
)


def whole_section(section: SectionText, anchor: str) -> str | None:
    """The section as Markdown with this anchor; None where no Markdown gives it that anchor."""
    heading = f"## {section.heading}"
    text = f"{heading}\n\n{section.body}" if slug(section.heading.replace("`", "")) == anchor else ""
    for markdown in filter(None, (text, f'<a id="{escape(anchor)}"></a>\n\n{heading}\n\n{section.body}')):
        if any(row.anchor == anchor and row.has_content and not row.disowned for row in parse(markdown)):
            return markdown
    return None
