"""The state that must last: one DynamoDB table with candidates, locks, sign-offs, waivers and promotions.

    pk                              sk                              what
    RELEASE#<environment>#<name>    CANDIDATE                       the candidate and its fate
    RELEASE#<environment>#<name>    STATEMENT#<series>              the readiness statement frozen for signing
    RELEASE#<environment>#<name>    SIGN_OFF#<role>#<id>            one signature
    RELEASE#<environment>#<name>    WAIVER#<id>                     one waiver
    RELEASE#<environment>#<name>    LOCK#<series>[#<override>]      who promotes now
    RELEASE#<environment>#<name>    PREPARED#<series>[#<override>]  the signed decision, before anything is published
    RELEASE#<environment>#<name>    PROMOTION#<series>[#<override>] that it was promoted, and with what
    OVERRIDES#<environment>         OVERRIDE#<id>                   a rollback or break-glass, as it is signed
    OVERRIDES#<environment>         OVERRIDE#<id>#SIGNATURE#<role>#<id>   one signature of it
    OPEN#<environment>              CANDIDATE#<name>                that the candidate may be open: for finding it, never trusted
    OPEN#<environment>              EVENTS#<Dagster's database>     how far its events of candidates were applied here
    KEYS#<environment>              PINNED                          which keys `phase5 init` pinned: their ids, never the keys
    KEYS#<environment>              PINNED#<when>                   the same, each time it pinned others
    PROMOTED#<environment>          AT#<when>#<name>#<series>       one promotion and what was waived for it, in order of time:
                                                                    for counting, never trusted
    RELEASE#<environment>#<name>    STATED#<series>...              what the gate last said of a series, signed
    RUNS#<environment>              RUN#<number>                    what a readiness run sealed and found, where histories stood
    HISTORY#<environment>           ACCEPTED#<id>                   that a person accepted breaks of histories, signed
    NOTICES#<environment>           RELEASE#<name>, RUNS            what people were told of last, and are still to be told
    SCHEMA#<environment>            UPGRADE#<number>                that a step of an upgrade was done: see `upgrades.py`
    DEPLOYED#<environment>          SEEN#<number>                   what was seen deployed after a promotion, signed

Each write is one function with one condition. Nothing here is ever deleted; only an entry for finding an open candidate expires
by TTL, once that is closed, and so do its notices. Other modules decide what may be written when; `items.py` says what an item is
made of, `item_table.py` how items are read and written. Documents are read and written by `stated_documents.py`, the items of
runs and histories by `run_records.py`, those of notices by `notice_box.py`, what was seen deployed by `observations.py`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from phase5_ops.clock import iso
from phase5_ops.gate.records import Pair, Release
from phase5_ops.gate.state.item_table import ItemTable
from phase5_ops.gate.state.items import (
    CLOSED,
    EVENTS,
    OPEN,
    OVERRIDE,
    PINNED,
    PROMOTED,
    Candidate,
    Fate,
    Lock,
    MalformedItem,
    Noted,
    PinnedKeys,
    Prepared,
    Promotion,
    Registered,
    StateError,
    StoredOverride,
    StoredSignOff,
    StoredStatement,
    StoredWaiver,
    Written,
    attributes,
    candidate_in,
    candidate_item,
    check_release,
    keys_pk,
    newer_version,
    noted_release_in,
    open_pk,
    overrides_pk,
    pinned_keys_in,
    promoted_pk,
    promotion_in,
    read,
    release_pk,
    sign_off_sk,
    slot,
)
from phase5_ops.gate.state.setup import TTL_ATTRIBUTE
from phase5_ops.reads import ReadStatus

#: What the state table's reader and writer needs, on that table only.
IAM_ACTIONS = ("dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query")


class StateTable(ItemTable):
    """The table. Every method raises StateError where AWS does not answer: unknown is never "not there"."""

    # --- candidates ----------------------------------------------------------------------------------------------------------

    def register(self, candidate: Candidate) -> tuple[Registered, Candidate]:
        """Registers series 1 of a candidate, or the next series of one that is closed; never changes the digest.

        Returns:
            How it ended, and the candidate as it stands.

        Raises:
            ValueError: name, environment or digest may not be used.
        """
        check_release(candidate.release)
        if self._put(candidate_item(candidate), "attribute_not_exists(pk)") is Written.DONE:
            return Registered.NEW, candidate
        present = self.candidate(candidate.release)
        if present is None or present.release.digest != candidate.release.digest:
            return Registered.CONFLICT, present or candidate
        if present.fate not in CLOSED:
            return Registered.SAME, present
        again = replace(candidate, series=present.series + 1, fate=Fate.PENDING, closed_because="")
        if self._put_in_place_of(present, again) is Written.DONE:
            return Registered.NEW, again
        found = self.candidate(candidate.release)  # another registration came first
        return (Registered.SAME, found) if found else (Registered.CONFLICT, candidate)

    def candidate(self, release: Release) -> Candidate | None:
        """The candidate of this name and environment, whatever its digest; None if there is none."""
        item = self._get(release_pk(release), "CANDIDATE")
        return None if item is None else candidate_in(item)

    def set_fate(self, candidate: Candidate, fate: Fate, because: str = "") -> Written:
        """Moves this series from the fate that was read to another; refused if it changed in between."""
        return self._update(
            release_pk(candidate.release),
            "CANDIDATE",
            {"fate": str(fate), "closed_because": because},
            "#digest = :was_digest AND #series = :was_series AND #fate = :was_fate",
            {
                "was_digest": candidate.release.digest,
                "was_series": candidate.series,
                "was_fate": str(candidate.fate),
            },
        )

    def list_open(self, release: Release, at: datetime) -> None:
        """Makes a candidate findable; done before it is registered, so that none is ever registered and not found."""
        item = {"pk": open_pk(release.environment), "sk": OPEN + release.name, "listed_at": iso(at)}
        # one that was taken out is listed again whatever its date: another machine's clock may have been ahead
        condition = f"attribute_not_exists(pk) OR #listed_at <= :now OR attribute_exists(#{TTL_ATTRIBUTE})"
        self._put(item, condition, {"now": iso(at)})

    def open_candidates(
        self, environment: str, *, malformed: Callable[[MalformedItem], None] | None = None
    ) -> list[tuple[Candidate, str]]:
        """Every candidate of an environment that may be open, as it stands now, each with the mark for `unlist`; oldest first.

        One query and one read for each hundred. Those that are closed by now are among them until they are unlisted.

        Args:
            environment: of the gate.
            malformed: called with each MalformedItem, so that it stops no other candidate; without it, that is raised.
        """
        entries = {
            str(item["sk"]).removeprefix(OPEN): str(item.get("listed_at", ""))
            for item in self._query(open_pk(environment), OPEN)
            if newer_version(item) is not None or (TTL_ATTRIBUTE not in item and "listed_at" in item)
        }
        keys = {name: (release_pk(Release(name, "", environment)), "CANDIDATE") for name in sorted(entries)}
        self.read_ahead(keys.values())
        found: list[Candidate] = []
        for key in keys.values():
            if (item := self._get(*key)) is None:
                continue
            try:
                found.append(candidate_in(item))
            except MalformedItem as error:
                if malformed is None:
                    raise
                malformed(error)
        found.sort(key=lambda candidate: (candidate.registered_at, candidate.release.name))
        return [(candidate, entries[candidate.release.name]) for candidate in found]

    def unlist(self, release: Release, mark: str, until: datetime) -> Written:
        """Takes a closed candidate out of the list; refused where it was listed again since. The entry expires by TTL."""
        changes = {TTL_ATTRIBUTE: int(until.timestamp())}
        return self._update(
            open_pk(release.environment), OPEN + release.name, changes, "#listed_at = :was_listed_at", {"was_listed_at": mark}
        )

    def applied_events(self, environment: str, database: str) -> object:
        """How far the events that register candidates were applied here, as it was noted last; None where nothing is noted.

        `database` names the one of Dagster that the events are in: each has storage ids of its own.
        """
        item = self._get(open_pk(environment), EVENTS + database)
        return None if item is None else item.get("cursor")

    def note_applied_events(self, environment: str, database: str, cursor: str, *, instead_of: object) -> Written:
        """Notes how far events were applied; refused where something else is noted than was read."""
        item = {"pk": open_pk(environment), "sk": EVENTS + database, "cursor": cursor}
        return self._put(item, "attribute_not_exists(#cursor) OR #cursor = :was", {"was": instead_of})

    def renew(self, candidate: Candidate) -> Written:
        """Begins the next series of a candidate in one write, with what was registered; refused if it changed in between."""
        again = replace(candidate, series=candidate.series + 1, fate=Fate.PENDING, closed_because="")
        return self._put_in_place_of(candidate, again)

    def _put_in_place_of(self, present: Candidate, again: Candidate) -> Written:
        """Writes a candidate over what it was; refused if that changed since it was read."""
        return self._put(
            candidate_item(again),
            "#digest = :digest AND #series = :series AND #fate = :fate",
            {"digest": present.release.digest, "series": present.series, "fate": str(present.fate)},
        )

    # --- statement, signatures, waivers: written once ------------------------------------------------------------------------

    def freeze_statement(self, release: Release, series: int, payload: bytes, gate_signature: bytes, gate_key_id: str) -> Written:
        """Freezes the statement that the roles of this series sign; refused if another one is frozen already."""
        content = {"digest": release.digest, **attributes(StoredStatement(payload, gate_signature, gate_key_id))}
        return self._put_new(release_pk(release), slot("STATEMENT", series), content, same=("digest", "payload"))

    def statement(self, release: Release, series: int) -> StoredStatement | None:
        """The frozen statement of a series; None if none is frozen."""
        item = self._get(release_pk(release), slot("STATEMENT", series))
        return None if item is None else read(StoredStatement, item)

    def statements(self, release: Release) -> list[StoredStatement]:
        """Every statement that was ever frozen under the release's name, by series."""
        return list(self._statements(release).values())

    def statement_among_all(self, release: Release, series: int) -> tuple[StoredStatement | None, list[StoredStatement]]:
        """The frozen statement of a series, None if none is frozen; and every one of the release's name. One read."""
        found = self._statements(release)
        return found.get(slot("STATEMENT", series)), list(found.values())

    def _statements(self, release: Release) -> dict[str, StoredStatement]:
        return {str(item["sk"]): read(StoredStatement, item) for item in self._query(release_pk(release), "STATEMENT#")}

    def add_sign_off(self, release: Release, sign_off: StoredSignOff) -> Written:
        """Adds a signature; one that is there is never changed."""
        return self._put_new(release_pk(release), sign_off_sk("SIGN_OFF", sign_off), attributes(sign_off))

    def sign_offs(self, release: Release) -> list[StoredSignOff]:
        """Every signature ever recorded under the release's name, by role and id."""
        return [read(StoredSignOff, item) for item in self._query(release_pk(release), "SIGN_OFF#")]

    def add_waiver(self, release: Release, waiver: StoredWaiver) -> Written:
        """Adds a waiver; one that is there is never changed."""
        return self._put_new(release_pk(release), f"WAIVER#{waiver.waiver.id}", attributes(waiver))

    def waivers(self, release: Release) -> list[StoredWaiver]:
        """Every waiver ever recorded under the release's name, by id. `signed_by` is None: the caller verifies the signature."""
        return [read(StoredWaiver, item) for item in self._query(release_pk(release), "WAIVER#")]

    # --- promotion -----------------------------------------------------------------------------------------------------------

    # Each series has one lock, one prepared decision and one record; and so has each override of it, named by `override`.

    def take_lock(self, release: Release, series: int, lock: Lock, *, override: str = "") -> tuple[Written, Lock]:
        """Takes the lock of a series; refused where another holds it. The same holder keeps it.

        Returns:
            How it ended, and the lock as it stands: where it was refused, whose it is.
        """
        pk, sk = release_pk(release), slot("LOCK", series, override)
        written = self._put_new(pk, sk, attributes(lock), same=("holder", "idempotency_key"))
        present = self.lock(release, series, override=override)
        return written, present or lock

    def lock(self, release: Release, series: int, *, override: str = "") -> Lock | None:
        """The lock of a series; None if nobody took it."""
        item = self._get(release_pk(release), slot("LOCK", series, override))
        return None if item is None else read(Lock, item)

    def take_over_lock(
        self,
        release: Release,
        series: int,
        abandoned: Lock,
        holder: str,
        now: datetime,
        *,
        after: timedelta = timedelta(minutes=5),
        override: str = "",
    ) -> Written:
        """Takes an abandoned lock over, with its idempotency key; refused where it is younger, or no longer as it was read."""
        if now - abandoned.taken_at <= after:
            return Written.REFUSED
        return self._update(
            release_pk(release),
            slot("LOCK", series, override),
            {"holder": holder, "taken_at": iso(now)},
            "#holder = :was_holder AND #taken_at = :was_taken_at",
            {"was_holder": abandoned.holder, "was_taken_at": iso(abandoned.taken_at)},
        )

    def prepare_promotion(self, release: Release, series: int, mine: Prepared, *, override: str = "") -> Prepared:
        """Keeps the envelopes of a promotion before it is published; the first ones stay. Returns them as they stand."""
        self._put_new(release_pk(release), slot("PREPARED", series, override), attributes(mine))
        return self.prepared_promotion(release, series, override=override) or mine

    def prepared_promotion(self, release: Release, series: int, *, override: str = "") -> Prepared | None:
        """The envelopes of a promotion that was begun; None if none was."""
        item = self._get(release_pk(release), slot("PREPARED", series, override))
        return None if item is None else read(Prepared, item)

    def record_promotion(self, release: Release, series: int, promotion: Promotion, *, override: str = "") -> Written:
        """Records that a series was promoted; the first record stays."""
        content, same = {"digest": release.digest, **attributes(promotion)}, ("idempotency_key", "decision_envelope")
        return self._put_new(release_pk(release), slot("PROMOTION", series, override), content, same=same)

    def promotion(self, release: Release, series: int, *, override: str = "") -> Promotion | None:
        """The record of a promotion; None if the series was not promoted."""
        item = self._get(release_pk(release), slot("PROMOTION", series, override))
        return None if item is None else promotion_in(item)

    def note_promotion(self, release: Release, series: int, at: datetime, waived: Iterable[tuple[str, Pair]]) -> Written:
        """Notes a recorded promotion among those of its environment; the same again is no second note.

        Args:
            release: what was promoted.
            series: of the candidate.
            at: when, as the record of the promotion says.
            waived: (row id, (code, subject)) of every finding that was waived for it.
        """
        noted = Noted(release.name, release.digest, tuple((row, *pair) for row, pair in sorted(waived)))
        sk = f"{PROMOTED}{iso(at)}#{release.name}#{series:06d}"
        return self._put_new(promoted_pk(release.environment), sk, attributes(noted))

    def promotions(self, environment: str) -> list[tuple[str, frozenset[tuple[str, Pair]]]]:
        """Every promotion of an environment, oldest first: name of the release, and what was waived as (row id, pair)."""
        noted = [read(Noted, item) for item in self._query(promoted_pk(environment), PROMOTED)]
        return [(each.name, frozenset((row, (code, subject)) for row, code, subject in each.waived)) for each in noted]

    def noted_releases(
        self, environment: str, *, malformed: Callable[[MalformedItem], None] | None = None
    ) -> list[tuple[datetime, Release, int]]:
        """When, release and series of every noted promotion of an environment, oldest first.

        Args:
            environment: of the gate.
            malformed: called with each MalformedItem, so that it hides no other note; without it, that is raised.
        """
        found: list[tuple[datetime, Release, int]] = []
        for item in self._query(promoted_pk(environment), PROMOTED):
            try:
                found.append(noted_release_in(item))
            except MalformedItem as error:
                if malformed is None:
                    raise
                malformed(error)
        return found

    # --- overrides: written once -----------------------------------------------------------------------------------------------

    def add_override(self, environment: str, override: str, payload: bytes) -> Written:
        """Adds an override under its id; one that is there is never changed."""
        return self._put_new(overrides_pk(environment), OVERRIDE + override, {"payload": payload})

    def add_override_signature(self, environment: str, override: str, signature: StoredSignOff) -> Written:
        """Adds a signature of an override; one that is there is never changed."""
        sk = sign_off_sk(f"{OVERRIDE}{override}#SIGNATURE", signature)
        return self._put_new(overrides_pk(environment), sk, attributes(signature))

    def overrides(self, environment: str) -> list[StoredOverride]:
        """Every override ever asked for in an environment with its signatures, by id; one query."""
        payloads: dict[str, bytes] = {}
        signatures: dict[str, list[StoredSignOff]] = {}
        for item in self._query(overrides_pk(environment), OVERRIDE):
            name, marked, _ = str(item["sk"]).removeprefix(OVERRIDE).partition("#SIGNATURE#")
            try:
                if marked:
                    signatures.setdefault(name, []).append(read(StoredSignOff, item))
                else:
                    payloads[name] = bytes(item["payload"])
            except MalformedItem:
                continue  # a signature that cannot be read is none
            except (KeyError, TypeError, ValueError):
                payloads[name] = b""  # not an order, which its reader reports
        return [StoredOverride(name, payload, tuple(signatures.get(name, ()))) for name, payload in sorted(payloads.items())]

    # --- which keys are pinned: changed by `phase5 init` alone ------------------------------------------------------------------

    def pinned_keys(self, environment: str) -> PinnedKeys | None:
        """Which keys were pinned last for an environment; None if no `phase5 init` has noted any here."""
        try:
            item = self._get(keys_pk(environment), PINNED)
        except StateError as error:
            if error.read.status is ReadStatus.NOT_FOUND:  # there is no table: nothing was noted in it
                return None
            raise
        return None if item is None else pinned_keys_in(item)

    def note_pinned_keys(self, environment: str, pinned: PinnedKeys, *, instead_of: PinnedKeys | None) -> Written:
        """Notes which keys are pinned, first in their history; refused where something else is noted than was read."""
        item = {"pk": keys_pk(environment), "sk": PINNED, **attributes(pinned)}
        self._put_new(keys_pk(environment), f"{PINNED}#{iso(pinned.pinned_at)}", attributes(pinned))
        if instead_of is None:
            return self._put(item, "attribute_not_exists(pk)")
        return self._put(item, "#present = :present", {"present": dict(instead_of.present)})
