"""Log groups by the hour: each whole hour is scanned once and kept; a readiness run merges the hours of its window.

What an hour holds is scanned when it has settled, since lines may come late. The pieces of the window that are no settled whole
hour (its beginning, and the last hour or so), and groups that an hour does not know yet, are scanned by the run itself. An hour
that is missing, not whole, or made under other conditions is a read that failed and names it; the window never gets shorter.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from phase5_ops.aws.logs import LogEvent, LogGroup, LogWindow, list_log_groups, read_log_events
from phase5_ops.aws.reader import describe_failure
from phase5_ops.clock import epoch_milliseconds, iso, parse_iso
from phase5_ops.context import RunContext
from phase5_ops.engines.partials import Partial, PartialUnusable
from phase5_ops.engines.places import KeptPlace
from phase5_ops.input_files.json_text import json_value
from phase5_ops.input_files.log_documents import Event
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.logs.engines.conditions import SCAN, Conditions, where_of
from phase5_ops.sections.isolation.logs.judge import FILTER_EVENTS
from phase5_ops.sections.isolation.logs.parts import Again, LogPartUnreadable, PartRun, ScannedPart
from phase5_ops.sections.isolation.logs.run import LogRun

HOURS_ASSET = "tenant_log_scan_hours"
HOUR = timedelta(hours=1)


def key_of(hour: datetime) -> str:
    """The partition key of the hour that begins then, as Dagster writes it."""
    return f"{hour:%Y-%m-%d-%H}:00"


def hour_of(key: str) -> datetime:
    """The inverse of `key_of`."""
    return datetime.strptime(key, "%Y-%m-%d-%H:%M").replace(tzinfo=UTC)


def _name(key: str) -> str:
    return f"{SCAN}/hours/{key.replace(':', '')}.part"


def settled(hour: datetime, at: datetime, settle_minutes: float) -> bool:
    """Whether the hour that begins then had settled at a moment."""
    return hour + HOUR + timedelta(minutes=settle_minutes) <= at


def scan_hour(context: RunContext, hour: datetime, conditions: Conditions, place: KeptPlace) -> Partial:
    """Scans every log group in one hour, and keeps what was found; returns it."""
    reader, policy = context.reader, context.settings.logs
    groups, reads = list_log_groups(reader, policy.group_prefixes)
    scanning, key = conditions.scanning(), key_of(hour)
    parts = {group.name: PartRun(f"{group.name} in {key}", scanning, conditions.dictionary.ids) for group in groups}

    def consume(group: str, events: list[LogEvent]) -> None:
        parts[group].events(group, as_events(events))

    window = LogWindow((_range_of(hour),), policy.requests_per_second)
    reads += read_log_events(reader, groups, window, consume)
    found = {group: part.finish().to_bytes() for group, part in sorted(parts.items())}
    head = json.dumps({group: len(content) for group, content in found.items()}).encode()
    content = b"\n".join((head, b"".join(found.values())))
    made = Partial(SCAN, key, conditions.depends_on(where_of(context)), iso(context.now()), tuple(reads), content)
    place.write(_name(key), made.packed())
    return made


def _range_of(hour: datetime) -> tuple[int, int]:
    """Its first and last millisecond: FilterLogEvents gives the events at both ends of a range."""
    return epoch_milliseconds(hour), epoch_milliseconds(hour + HOUR) - 1


def as_events(events: Sequence[LogEvent]) -> list[Event]:
    """What CloudWatch gave, as it is scanned."""
    return [Event(event.stream, event.time, event.message) for event in events]


@dataclass(frozen=True, slots=True)
class HourMerge:
    """Merges the hours of a window into a scan.

    Attributes:
        context: of the readiness run.
        run: the scan.
        conditions: those under which it scans.
        place: where hours are kept.
        judged_from: epoch ms of the first event that is judged; those before only help to find owners.
    """

    context: RunContext
    run: LogRun
    conditions: Conditions
    place: KeptPlace
    judged_from: int

    def merge(self, groups: Sequence[LogGroup], start: int, end: int) -> list[Read]:
        """Attributes the events from `start` to `end` (epoch ms, both included).

        Returns one read a group, and one for each hour that cannot be merged.
        """
        reads: list[Read] = []
        for begin, stop, hour in self._slices(start, end):
            known: Mapping[str, ScannedPart] = {}
            if hour is not None:
                try:
                    known, others = self._kept(hour)
                except _Unusable as error:
                    reads.append(error.read)
                    continue
                reads += others
            for group in sorted({*known, *(group.name for group in groups)}):
                if group in known:
                    self.run.merge(known[group], self._again(group, begin, stop), judged_from=self.judged_from)
                else:
                    reads += self._now([LogGroup(group, None)], begin, stop)
        return _by_group(reads)

    def _slices(self, start: int, end: int) -> Iterator[tuple[int, int, datetime | None]]:
        """First and last millisecond of each settled whole hour of the window, and of what lies before and after them."""
        settle, now = self.context.settings.engine.settle_minutes, self.context.now()
        hour = datetime.fromtimestamp(start // 1000, UTC).replace(minute=0, second=0, microsecond=0)
        if epoch_milliseconds(hour) < start:
            hour += HOUR
        begin = start
        if start < epoch_milliseconds(hour) <= end:
            yield start, epoch_milliseconds(hour) - 1, None
            begin = epoch_milliseconds(hour)
        while begin == epoch_milliseconds(hour) and _range_of(hour)[1] <= end and settled(hour, now, settle):
            yield *_range_of(hour), hour
            hour += HOUR
            begin = epoch_milliseconds(hour)
        if begin <= end:
            yield begin, end, None

    def _kept(self, hour: datetime) -> tuple[dict[str, ScannedPart], tuple[Read, ...]]:
        """What was kept of an hour, by group, and how it was read.

        Raises:
            _Unusable: nothing, or nothing that can be merged.
        """
        key = key_of(hour)
        settings = self.context.settings
        try:
            kept = self.place.read(_name(key))
        except Exception as error:
            status, message = describe_failure(error)
            missing = isinstance(error, FileNotFoundError) or status is ReadStatus.NOT_FOUND
            said = "it was not scanned yet" if missing else message
            raise _Unusable(key, ReadStatus.NOT_FOUND if missing else status, said) from error
        try:
            partial_result = Partial.unpacked(
                kept, scan=SCAN, part=key, depends_on=self.conditions.depends_on(where_of(self.context))
            )
            if not settled(hour, parse_iso(partial_result.made_at), settings.engine.settle_minutes):
                raise _Unusable(key, ReadStatus.INVALID, f"it was scanned at {partial_result.made_at}, before it had settled")
            return _parts_in(partial_result.content, len(self.conditions.dictionary.ids)), partial_result.reads
        except (PartialUnusable, LogPartUnreadable, ValueError) as error:
            raise _Unusable(key, ReadStatus.INVALID, str(error)) from error

    def _now(self, groups: Sequence[LogGroup], begin: int, stop: int) -> list[Read]:
        def consume(group: str, events: list[LogEvent]) -> None:
            self.run.events(group, as_events(events), judged_from=self.judged_from)

        window = LogWindow(((begin, stop),), self.context.settings.logs.requests_per_second)
        return read_log_events(self.context.reader, groups, window, consume)

    def _again(self, group: str, begin: int, stop: int) -> Again:
        return partial(_read_group, self.context, group, begin, stop)


def _read_group(context: RunContext, group: str, begin: int, stop: int, look: PartRun) -> str | None:
    """Gives the events of a group to a part; why they did not come whole, if so."""

    def consume(name: str, events: list[LogEvent]) -> None:
        look.events(name, as_events(events))

    window = LogWindow(((begin, stop),), context.settings.logs.requests_per_second)
    (read,) = read_log_events(context.reader, [LogGroup(group, None)], window, consume)
    return None if read.status is ReadStatus.OK else str(read)


def _parts_in(content: bytes, tenants: int) -> dict[str, ScannedPart]:
    head, _, rest = content.partition(b"\n")
    found, at = {}, 0
    try:
        sizes = {str(group): int(size) for group, size in dict(json_value(head)).items()}
    except (ValueError, TypeError, OverflowError) as error:
        raise LogPartUnreadable("its first line does not name its parts") from error
    for group, size in sizes.items():
        found[group] = ScannedPart.from_bytes(rest[at : at + size], tenants=tenants)
        at += size
    if at != len(rest):
        raise LogPartUnreadable("it has more than the parts that it names")
    return found


class _Unusable(Exception):
    """An hour that cannot be merged, as a read."""

    def __init__(self, key: str, status: ReadStatus, why: str) -> None:
        super().__init__(why)
        now = iso(datetime.now(UTC))
        remedy = f"materialize this partition of {HOURS_ASSET} (dagster job backfill, or the asset's page)"
        self.read = Read(FILTER_EVENTS, f"partition {key} of {HOURS_ASSET}", status, f"{why}; {remedy}", 0, now, now)


def _by_group(reads: Sequence[Read]) -> list[Read]:
    """One read for each resource: not OK if one of them was not."""
    found: dict[tuple[str, str], Read] = {}
    for read in reads:
        before = found.setdefault((read.operation, read.resource), replace(read, pages=0))
        bad = before if before.status is not ReadStatus.OK else read
        found[read.operation, read.resource] = replace(
            before,
            status=bad.status,
            error=bad.error,
            pages=before.pages + read.pages,
            start=min(before.start, read.start),
            end=max(before.end, read.end),
        )
    return list(found.values())
