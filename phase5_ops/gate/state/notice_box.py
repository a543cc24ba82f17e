"""What people were told of last, and what they are still to be told: one item for each release and one for readiness runs.

    pk                      sk                what
    NOTICES#<environment>   RELEASE#<name>    how a release was seen last, and the notices that follow and are not delivered
    NOTICES#<environment>   RUNS              the same of readiness runs

How something was seen last and the notices that follow from a change stand in one item, so that one conditional write records
both: of two daemons that see the same change, one records it, once, and a restart records nothing again. Delivering is another
matter, since a channel cannot be asked whether it took a notice: a daemon takes a lease before it sends, and one that dies
between sending and noting that leaves the notice to be sent again, under the same id. The item of a release that is over expires
by TTL. What must not live here: what a change is, words, channels.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter, ValidationError

from phase5_ops.clock import Moment, iso
from phase5_ops.gate.state.item_table import ItemTable
from phase5_ops.gate.state.items import Item, MalformedItem, Written, read
from phase5_ops.gate.state.setup import TTL_ATTRIBUTE
from phase5_ops.input_files.json_text import json_value
from phase5_ops.text import Text

RUNS = "RUNS"  # the key of readiness runs

_MOST = 40  # notices that wait for one release; the oldest give way, and an item stays below what DynamoDB takes
_TRIES = 5  # to note what was delivered, while others write the same item
_LEASE = timedelta(seconds=60)
_KEPT = timedelta(days=30)  # the item of a release that is over


@dataclass(frozen=True, slots=True)
class Notice:
    """One change, as people are told of it.

    Attributes:
        id: the idempotency key, the same at each try.
        kind: `opened`, `closed`, ...
        do: the first line: what to do.
        text: the other lines.
        at: when it was seen, wall clock.
        environment, release, digest, series: what it is about; empty and 0 where it is about no release.
        link: where a person should look; empty where there is no such page.
        waiting: the channels that it is still to be given to, each with the number of tries that failed.
        not_before: when the next try is due.
    """

    id: Text
    kind: Text
    do: Text
    text: Text
    at: Moment
    environment: Text
    release: Text
    digest: Text
    series: int
    link: Text
    waiting: Mapping[str, int]
    not_before: Moment


_NOTICES = TypeAdapter(tuple[Notice, ...])


@dataclass(frozen=True, slots=True)
class _Stored:
    """An item as it stands in the table: `seen` and `due` are JSON, `leased_until` is empty where nobody delivers."""

    version: int
    seen: Text
    due: Text
    leased_until: Text
    holder: Text


@dataclass(frozen=True, slots=True)
class NoticeItem:
    """Something that people are told about.

    Attributes:
        key: its sort key: `release_key`, or `RUNS`.
        version: counts the writes; 0 where there is no item yet.
        seen: how it was seen last, JSON values; empty where it never was.
        due: the notices that are still to be delivered, oldest first.
        leased_until: until when a daemon delivers them; "" where none does.
        over: the release has ended, so that the item may expire once nothing is due.
    """

    key: str
    version: int = 0
    seen: Mapping[str, Any] = field(default_factory=dict)
    due: tuple[Notice, ...] = ()
    leased_until: str = ""
    over: bool = False


class NoticeBox(ItemTable):
    """The part of the state table that says what people were told. Methods raise StateError where AWS does not answer."""

    def watched(self, environment: str, key: str) -> NoticeItem:
        """How something was seen last."""
        item = self._get(notices_pk(environment), key)
        return NoticeItem(key) if item is None else _watched(item)

    def all_watched(self, environment: str, malformed: Callable[[MalformedItem], None]) -> list[NoticeItem]:
        """Everything that people are told about, in one query; `malformed` is called with each item that cannot be read."""
        found = []
        for item in self._query(notices_pk(environment), "R"):
            try:
                found.append(_watched(item))
            except MalformedItem as error:
                malformed(error)
        return found

    def record(
        self, environment: str, was: NoticeItem, seen: Mapping[str, Any], notices: tuple[Notice, ...], *, over: bool
    ) -> Written:
        """Records how something is seen now and the notices that follow, in one write; refused where another wrote meanwhile."""
        now = replace(was, seen=seen, due=(*was.due, *notices)[-_MOST:], over=over)
        return self._write(environment, was, now)

    def lease(self, environment: str, was: NoticeItem, holder: str, now: datetime) -> NoticeItem | None:
        """Takes the right to deliver what is due; None where another daemon has it, or wrote meanwhile."""
        if was.leased_until > iso(now):
            return None
        leased = replace(was, leased_until=iso(now + _LEASE))
        return replace(leased, version=was.version + 1) if self._write(environment, was, leased, holder) is Written.DONE else None

    def delivered(self, environment: str, leased: NoticeItem, left: Mapping[str, Notice | None], now: datetime) -> bool:
        """Gives the lease back, with what is left of each notice, by id; None of one that is done with.

        Returns:
            False where other writes came before it at each try: then the notices are sent again, with the same ids.
        """
        present = leased
        for _ in range(_TRIES):
            tried = (left.get(each.id, each) for each in present.due)
            after = replace(present, due=tuple(each for each in tried if each is not None), leased_until="")
            if self._write(environment, present, after, expires=now + _KEPT) is Written.DONE:
                return True
            present = self.watched(environment, leased.key)
        return False

    def _write(
        self, environment: str, was: NoticeItem, now: NoticeItem, holder: str = "", *, expires: datetime | None = None
    ) -> Written:
        item = {
            "pk": notices_pk(environment),
            "sk": now.key,
            "version": was.version + 1,
            "seen": json.dumps({**now.seen, "over": now.over}, sort_keys=True),
            "due": _NOTICES.dump_json(now.due).decode(),
            "leased_until": now.leased_until,
            "holder": holder,
        }
        if now.over and not now.due and expires is not None:
            item[TTL_ATTRIBUTE] = int(expires.timestamp())
        if was.version == 0:
            return self._put(item, "attribute_not_exists(pk)")
        return self._put(item, "#version = :was", {"was": was.version})


def _watched(item: Item) -> NoticeItem:
    stored = read(_Stored, item)
    try:
        seen = dict(json_value(stored.seen))
        due = _NOTICES.validate_json(stored.due)
    except (ValidationError, ValueError, TypeError) as error:
        raise MalformedItem(item, error) from error
    over = seen.pop("over", False) is True
    return NoticeItem(str(item["sk"]), stored.version, seen, due, stored.leased_until, over)


def notices_pk(environment: str) -> str:
    """The partition of what people are told about."""
    return f"NOTICES#{environment}"


def release_key(name: str) -> str:
    """The key of a release."""
    return f"RELEASE#{name}"
