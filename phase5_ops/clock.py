"""The one source of "now": evaluation time, fixed by PHASE5_NOW or read from the wall clock.

Evaluation time is what evidence ages and windows are counted from. Timeouts use the monotonic clock instead, and Dagster's
own timestamps are wall clock and are never compared with it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator

#: Years of what is stored and signed: what is added to such a moment, or taken from it, is never beyond the calendar.
_FIRST_YEAR, _LAST_YEAR = 1970, 9000


@dataclass(frozen=True, slots=True)
class Clock:
    """Evaluation time; `fixed` is None for the wall clock."""

    fixed: datetime | None = None

    def now(self) -> datetime:
        """The evaluation time, timezone-aware UTC."""
        return self.fixed if self.fixed is not None else datetime.now(UTC)


def iso(moment: datetime) -> str:
    """ISO-8601 UTC with milliseconds and Z, the way the platform writes timestamps."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970-01-01T00:00Z, the way CloudWatch Logs counts time."""
    return int(moment.timestamp() * 1000)


def parse_iso(text: str) -> datetime:
    """A timezone-aware UTC datetime from ISO-8601.

    Raises:
        ValueError: the text is not ISO-8601 or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"timestamp without time zone: {text!r}")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"no moment of the calendar in UTC: {text!r}") from error


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime | str):
        raise ValueError(f"no timestamp: {type(value).__name__}")  # noqa: TRY004 - what pydantic reports is a ValueError
    moment = value if isinstance(value, datetime) else parse_iso(value)
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"not a time at which anything was recorded: {value}")
    return moment


#: The moment of a model's field, written and read as ISO-8601.
Moment = Annotated[datetime, PlainValidator(_moment), PlainSerializer(iso)]
