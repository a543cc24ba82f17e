"""Verifies an archive offline: files by their digests, signatures by the trusted keys, records by what signed ones name. Pure.

Starts at nothing: what is said of an item follows from its own signatures and from what signed records name, never from what the
manifest claims of it. The keys in the archive are compared with the trusted ones, and trusted for nothing. One file, since each
kind of item is held against what all the others name. What must not live here: reading the file (`archive.py`), how it is made
(`contents.py`).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from phase5_ops.checklist import ROLES
from phase5_ops.clock import iso, parse_iso
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.acceptance import ACCEPTANCE_TYPE, acceptance_of
from phase5_ops.gate.attestation.decision_statement import decision_facts
from phase5_ops.gate.attestation.envelopes import (
    PAYLOAD_TYPE,
    STATED_TYPE,
    WAIVER_TYPE,
    MalformedEnvelope,
    ReadEnvelope,
    read_envelope,
    strict_json,
)
from phase5_ops.gate.attestation.keys import GATE, KeysError, KeySet, parse_keys, revocation_problem
from phase5_ops.gate.attestation.observation import OBSERVATION_TYPE, Observation, observation_of
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.override_statement import Override, override_of
from phase5_ops.gate.attestation.readiness_statement import ReadinessFacts, StatedWaiver, readiness_facts, shows_waiver
from phase5_ops.gate.attestation.run_record import RECORD_TYPE, RunRecord, record_of
from phase5_ops.gate.attestation.said_by_decision import stated_by
from phase5_ops.gate.attestation.statement import PUBLICATION, read_statement
from phase5_ops.gate.attestation.waiver import waiver_of
from phase5_ops.gate.audit.archive import EVIDENCE, AuditArchive
from phase5_ops.gate.audit.publications import PUBLICATION_FILE, promotion_folder, publication_of
from phase5_ops.gate.inputs.promotion_records import (
    DECISION_FILE,
    OVERRIDE_FILE,
    READINESS_FILE,
    envelope_problems,
    record_problems,
)
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Promotion
from phase5_ops.text import printable

#: The payload type of a manifest, so that its signature cannot pass for that of a statement.
MANIFEST_TYPE = "application/vnd.phase5.audit-manifest+json"
SCHEMA = "phase5.audit-archive/v1"
MANIFEST_FILE, SIGNED_MANIFEST = "manifest.json", "manifest.dsse.json"

_OVERRIDES = "overrides/"
_WORDS = ("README.md", "summary.md")
#: Fate of a candidate that went to production -> how the folder of that promotion begins.
_PROMOTED_BY = {"PROMOTED": "promotion/", "BREAK_GLASS": "promotion-"}
#: The digest of evidence without a file: what a document of the gate says where there was none yet.
NO_EVIDENCE = sha256_of(b"{}")
_LOOKED_BACK = 200  # records before that of a candidate's run, among which the gate looks for that of the candidate before
_TABLE_SAYS = "what the state table says; not signed"


class ItemStatus(StrEnum):
    """What is known of an item."""

    BAD = "NOT VERIFIED"
    MISSING = "missing"
    UNSIGNED = "not signed"  # or by signatures alone that do not count
    GOOD = "verified"


@dataclass(frozen=True, slots=True)
class CheckedItem:
    """An item of an archive, what is known of it, and what it says or what is wrong with it."""

    status: ItemStatus
    item: str
    about: str

    def __str__(self) -> str:
        return f"{self.status:<12}  {printable(self.item)}: {printable(self.about)}"


@dataclass(frozen=True, slots=True)
class ArchiveVerification:
    """Everything that was looked at. It holds only if nothing is missing and nothing could not be verified."""

    checked: tuple[CheckedItem, ...]

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return bool(self.checked) and all(each.status in (ItemStatus.GOOD, ItemStatus.UNSIGNED) for each in self.checked)

    def lines(self) -> list[str]:
        """For people: how many of each kind, then what is wrong first."""
        count = {status: sum(each.status is status for each in self.checked) for status in ItemStatus}
        counted = ", ".join(f"{number} {status}" for status, number in count.items() if number)
        order = list(ItemStatus)
        ordered = sorted(self.checked, key=lambda each: (order.index(each.status), each.item))
        return [f"{'verified' if self.ok else 'NOT VERIFIED'}: {counted}", *(f"  {each}" for each in ordered)]


def verify_archive(archive: AuditArchive, keys: KeySet, environment: str | None = None) -> ArchiveVerification:
    """Verifies everything in an archive.

    Args:
        archive: as it was read.
        keys: the trusted keys, as they were given out.
        environment: for which it must be; None for whatever it names.
    """
    said: dict[tuple[ItemStatus, str], CheckedItem] = {}
    for each in _Verifying(archive, keys).all(environment):  # what the manifest says is missing is also found missing
        said.setdefault((each.status, each.item), each)
    return ArchiveVerification(tuple(said.values()))


@dataclass(frozen=True, slots=True)
class _ItemResult:
    """What verifying one record came to: what is wrong, what it says, and its status where nothing is wrong."""

    problems: list[str]
    about: str
    good: ItemStatus = ItemStatus.GOOD


@dataclass(frozen=True, slots=True)
class _ArchivedSignatures:
    """Whose signatures of a record count, what is wrong with others, and which only do not count."""

    roles: set[str]
    problems: list[str]
    uncounted: list[str]

    def words(self) -> str:
        """For people: whose signatures count, and why others do not."""
        return f"{', '.join(sorted(self.roles)) or 'nobody'}{''.join(f' (not counted: {each})' for each in self.uncounted)}"

    @property
    def good(self) -> ItemStatus:
        """The status of a record that needs one of them, where nothing is wrong."""
        return ItemStatus.GOOD if self.roles else ItemStatus.UNSIGNED


class _Verifying:
    def __init__(self, archive: AuditArchive, keys: KeySet) -> None:
        self._files, self._digests, self._keys = archive.files, archive.digests, keys
        self._statements: dict[str, ReadinessFacts] = {}  # those that the gate signed, by file
        self._named: dict[str, dict[str, str]] = {}  # run id -> evidence digest -> by what signed file
        self._told: dict[str, dict[str, str]] = {}  # the same, of documents of the gate alone
        self._records: dict[str, RunRecord] = {}  # of runs, by file, in the order of their numbers
        self._first_signed = ""
        self._orders: dict[str, Override] = {}
        self._published: dict[str, Release] = {}  # what was promoted, by folder
        self._observed: dict[str, Observation] = {}  # those that the gate signed, by file
        self._over: dict[str, str] = {}  # beginning of the folder of a promotion -> the gate's document that says there was one
        self._environment = ""

    def all(self, environment: str | None) -> Iterator[CheckedItem]:
        yield from self._manifest(environment)
        yield from self._key_file()
        for name in sorted(self._files):
            if name.startswith(_OVERRIDES) and name.endswith(f"/{OVERRIDE_FILE}"):
                yield self._one(name, self._override)
        for name in sorted(self._files):
            yield from self._record(name)
        self._read_run_records()
        self._rest_on_documents()
        yield from self._chain("runs", RECORD_TYPE)
        yield from self._chain("deployed", OBSERVATION_TYPE)
        yield from self._named_waivers()
        yield from self._named_runs()
        yield from self._named_publications()
        yield from self._evidence()

    # --- the manifest --------------------------------------------------------------------------------------------------------

    def _manifest(self, environment: str | None) -> Iterator[CheckedItem]:
        content = self._files.get(MANIFEST_FILE)
        if content is None:
            yield CheckedItem(ItemStatus.MISSING, MANIFEST_FILE, "so nothing says what belongs to the archive")
            return
        try:
            said = strict_json(content)
            if said["schema"] != SCHEMA:
                yield CheckedItem(
                    ItemStatus.BAD, MANIFEST_FILE, f"schema {said['schema']!r}, and this program knows {SCHEMA}: update it"
                )
                return
            files, records, missing = dict(said["files"]), dict(said["records"]), list(said["missing"])
            self._environment = str(said["environment"])
            made_at = parse_iso(str(said["made_at"]))
            period = f"{self._environment}, {said['from']} to {said['to']}, made {said['made_at']} by {said['made_by']}"
            gone = [(str(each["what"]), f"named by {each['named_by']}: {each['why']}") for each in missing]
            of_items = {str(key): [str(name) for name in names] for key, names in records.items()}
        except (MalformedEnvelope, KeyError, TypeError, ValueError, AttributeError) as error:
            yield CheckedItem(ItemStatus.BAD, MANIFEST_FILE, f"it cannot be read: {type(error).__name__}: {error}")
            return
        yield self._signed_manifest(content, period, made_at)
        if environment is not None and environment != self._environment:
            yield CheckedItem(ItemStatus.BAD, MANIFEST_FILE, f"it is for {self._environment}, not for {environment}")
        yield from (CheckedItem(ItemStatus.MISSING, what, why) for what, why in gone)
        for name in sorted((self._digests.keys() | files.keys()) - {MANIFEST_FILE, SIGNED_MANIFEST}):
            if name not in self._digests:
                yield CheckedItem(ItemStatus.MISSING, name, "the manifest names it")
            elif name not in files:
                yield CheckedItem(ItemStatus.BAD, name, "the manifest does not name it")
            elif files[name] != self._digests[name]:
                yield CheckedItem(ItemStatus.BAD, name, "its digest is not that of the manifest")
        for key, names in sorted(of_items.items()):
            if lost := [name for name in names if name not in self._digests]:
                yield CheckedItem(ItemStatus.MISSING, key, f"an item of the state table, of which {', '.join(lost)} was made")

    def _signed_manifest(self, content: bytes, period: str, made_at: datetime) -> CheckedItem:
        if SIGNED_MANIFEST not in self._files:
            return CheckedItem(
                ItemStatus.UNSIGNED,
                MANIFEST_FILE,
                f"{period}; each record verifies by itself, and that none was left out rests on who made the archive",
            )
        try:
            envelope = read_envelope(self._files[SIGNED_MANIFEST], MANIFEST_TYPE)
        except MalformedEnvelope as error:
            return CheckedItem(ItemStatus.BAD, SIGNED_MANIFEST, str(error))
        if envelope.payload != content:
            return CheckedItem(ItemStatus.BAD, SIGNED_MANIFEST, f"it signs another manifest than {MANIFEST_FILE}")
        roles, problems = self._signers(envelope, lambda _: made_at, MANIFEST_TYPE)
        if problems or roles != {GATE}:
            return CheckedItem(ItemStatus.BAD, SIGNED_MANIFEST, "; ".join(problems) or "the gate has not signed it")
        return CheckedItem(ItemStatus.GOOD, MANIFEST_FILE, f"{period}, signed by the gate")

    def _key_file(self) -> Iterator[CheckedItem]:
        try:
            said = parse_keys(self._files["keys.json"])
        except KeyError:
            yield CheckedItem(ItemStatus.MISSING, "keys.json", "the keys that the archive was made with")
            return
        except KeysError as error:
            yield CheckedItem(ItemStatus.BAD, "keys.json", str(error))
            return
        for key_id, key in said.keys.items():
            known = self._keys.keys.get(key_id)
            validity = f"revoked {iso(key.revoked_at)}" if key.revoked_at else "in use"
            if known is None or known.role != key.role:
                yield CheckedItem(ItemStatus.BAD, f"keys.json {key.role}", f"{key_id} is not among the trusted keys")
            elif key.revoked_at is not None and known.revoked_at != key.revoked_at:
                yield CheckedItem(ItemStatus.BAD, f"keys.json {key.role}", f"{key_id}: the trusted keys do not say {validity}")
            else:
                yield CheckedItem(ItemStatus.GOOD, f"keys.json {key.role}", f"{key_id}, {validity}")

    # --- records -------------------------------------------------------------------------------------------------------------

    def _record(self, name: str) -> Iterator[CheckedItem]:
        folder, file = name.rpartition("/")[::2]
        parts = name.split("/")
        if parts[0] == "not-understood":
            yield CheckedItem(ItemStatus.BAD, name, "an item of the state table that could not be read when the archive was made")
        elif parts[0] == "releases" and file == PUBLICATION_FILE:
            yield self._one(folder, self._promotion)
        elif parts[0] == "releases" and file == DECISION_FILE and "/prepared" in name:
            yield self._one(folder, self._prepared)
        elif parts[0] == "releases" and file == "statement.dsse.json":
            yield self._one(name, self._statement)
        elif parts[0] == "releases" and file == "said.dsse.json":
            yield self._one(name, self._said)
        elif parts[0] == "releases" and parts[2:3] == ["waivers"]:
            yield self._one(name, self._waiver)
        elif parts[0] == "acceptances":
            yield self._one(name, self._acceptance)
        elif file in ("candidate.json", "signatures.json", "keys-pinned.json") or name in _WORDS:
            yield CheckedItem(ItemStatus.UNSIGNED, name, "for people" if name in _WORDS else _TABLE_SAYS)
        elif not self._verified_elsewhere(name):
            if not (parts[0] == "releases" and file in (READINESS_FILE, OVERRIDE_FILE, DECISION_FILE) and len(parts) == 5):  # noqa: PLR2004
                yield CheckedItem(ItemStatus.BAD, name, "no kind of file that an archive has")
            elif f"{folder}/{PUBLICATION_FILE}" not in self._files and "/prepared" not in name:
                yield CheckedItem(ItemStatus.MISSING, f"{folder}/{PUBLICATION_FILE}", f"{file} is there without it")

    def _verified_elsewhere(self, name: str) -> bool:
        """Whether a file is one of those that are not verified one by one."""
        one_of_many = name.startswith((EVIDENCE, "runs/", "deployed/")) or (
            name.startswith(_OVERRIDES) and name.endswith(f"/{OVERRIDE_FILE}")
        )
        return one_of_many or name in (MANIFEST_FILE, SIGNED_MANIFEST, "keys.json")

    def _one(self, name: str, verify: Callable[[str], _ItemResult]) -> CheckedItem:
        """What verifying one record came to."""
        try:
            found = verify(name)
        except KeyError as error:
            return CheckedItem(ItemStatus.MISSING, name, f"it lacks {error}")
        except (MalformedEnvelope, TypeError, ValueError) as error:
            return CheckedItem(ItemStatus.BAD, name, f"it cannot be read: {error}")
        bad = CheckedItem(ItemStatus.BAD, name, "; ".join(found.problems))
        return bad if found.problems else CheckedItem(found.good, name, found.about)

    def _signers(
        self, envelope: ReadEnvelope, proved_at: Callable[[str], datetime | None], kind: str = PAYLOAD_TYPE
    ) -> tuple[set[str], list[str]]:
        """The roles whose keys signed an envelope, and what is wrong with its signatures."""
        found = self._signatures(envelope, proved_at, kind)
        return found.roles, found.problems

    def _signatures(
        self,
        envelope: ReadEnvelope,
        proved_at: Callable[[str], datetime | None],
        kind: str = PAYLOAD_TYPE,
        made_at: datetime | None = None,
    ) -> _ArchivedSignatures:
        """Whose signatures of an envelope count.

        Args:
            envelope: whose.
            proved_at: by when a key id's signature is proved to have been made.
            kind: the payload's type.
            made_at: when the signed bytes were made, where nothing rests on these signatures. A person's signature by a key
                that was revoked after this moment, of which nothing proves that it is older, is then no problem: keys are
                replaced in the course of years. It does not count. None where all signatures must count.
        """
        roles: set[str] = set()
        problems: list[str] = []
        uncounted: list[str] = []
        for key_id, signature in sorted(envelope.signatures.items()):
            key = self._keys.keys.get(key_id)
            if key is None:
                problems.append(f"a signature by an unknown key {key_id}")
            elif not key.verifies(envelope.payload, signature, kind):
                problems.append(f"the signature of {key.role} does not verify")
            elif problem := revocation_problem(key.revoked_at, proved_at(key_id)):
                since = key.revoked_at is not None and made_at is not None and made_at < key.revoked_at and key.role != GATE
                (uncounted if since else problems).append(f"the key of {key.role} {problem}")
            else:
                roles.add(key.role)
        return _ArchivedSignatures(roles, problems, uncounted)

    def _override(self, name: str) -> _ItemResult:
        envelope = read_envelope(self._files[name])
        order = override_of(envelope.payload)
        decision = f"releases/{order.release.name}/{order.series:06d}/promotion-{order.id}/{DECISION_FILE}"
        signed = self._signatures(envelope, self._decided_by(decision, order.requested_at), made_at=order.requested_at)
        problems = signed.problems
        if name.split("/")[1] != order.id or order.release.environment != self._environment:
            problems.append(f"it is order {order.id} for {order.release.environment}")
        self._orders[order.id] = order
        asked = f"asked for by {order.requested_by} at {iso(order.requested_at)}"
        about = f"{order.kind} to {order.release.name}, {asked}: {order.reason}"
        past = f"; past: {'; '.join(order.goes_past)}" if order.goes_past else ""
        return _ItemResult(problems, f"{about} ({order.ticket}), signed by {signed.words()}{past}", signed.good)

    def _promotion(self, folder: str) -> _ItemResult:
        statement, key_id, signature = self._only_signature(f"{folder}/{PUBLICATION_FILE}", PAYLOAD_TYPE)
        said = read_statement(statement)
        if said.predicate_type != PUBLICATION:
            raise ValueError("it is no publication")
        answer: Mapping[str, Any] = said.predicate
        name = answer["override"]
        order = None
        if name is not None:
            order = self._orders[str(name)]
        basis = self._files[f"{folder}/{OVERRIDE_FILE if order else READINESS_FILE}"]
        decision = self._files[f"{folder}/{DECISION_FILE}"]
        promoted_at = parse_iso(str(answer["promotedAt"]))
        record = Promotion(
            str(answer["publishedBy"]),
            promoted_at,
            str(answer["idempotencyKey"]),
            basis.decode("ascii"),
            decision.decode("ascii"),
            str(answer["answer"]),
            key_id,
            signature.hex(),
        )
        release, series = Release(said.name, said.digest, str(answer["environment"])), int(answer["series"])
        problems = list(record_problems(record, release, series, keys=self._keys, now=promoted_at, override=order))
        wanted = promotion_folder(release, series, order.id if order else "")
        if folder != wanted or release.environment != self._environment:
            problems.append(f"it is of {wanted} in {release.environment}")
        if not problems:
            self._published[folder] = release
            if order is None:
                self._states(f"{folder}/{READINESS_FILE}", readiness_facts(read_statement(read_envelope(basis).payload)))
            elif order.kind is OrderKind.ROLLBACK:
                there = {sha256_of(content) for content in self._files.values()}
                problems += [
                    f"missing: the envelope {digest} that it rests on" for digest in order.rests_on if digest not in there
                ]
        signers = decision_facts(read_statement(read_envelope(decision).payload)).signers
        people = "; ".join(f"{each.role} by {each}" for each in signers)
        right = order.kind if order else "the gate"
        about = f"promoted by {right} at {iso(promoted_at)} in run {record.holder}: {record.answer}; signed for {people}"
        return _ItemResult(problems, about)

    def _prepared(self, folder: str) -> _ItemResult:
        override = self._files.get(f"{folder}/{OVERRIDE_FILE}")
        basis = override if override is not None else self._files[f"{folder}/{READINESS_FILE}"]
        order = override_of(read_envelope(override).payload) if override is not None else None
        decision = self._files[f"{folder}/{DECISION_FILE}"]
        decided = decision_facts(read_statement(read_envelope(decision).payload))
        release = Release(decided.name, decided.digest, self._environment)
        series = int(folder.split("/")[2])
        problems = envelope_problems(basis, decision, release, series, keys=self._keys, now=decided.time_verified, override=order)
        return _ItemResult(list(problems), f"decided at {iso(decided.time_verified)}; no record says that it was published")

    def _statement(self, name: str) -> _ItemResult:
        envelope = read_envelope(self._files[name])
        said = readiness_facts(read_statement(envelope.payload))
        decided = self._decided_by(f"{name.rpartition('/')[0]}/promotion/{DECISION_FILE}", said.evaluated_at)
        gate = {key_id for key_id, key in self._keys.keys.items() if key.role == GATE}  # its statement says when it signed
        signed = self._signatures(
            envelope, lambda key_id: said.evaluated_at if key_id in gate else decided(key_id), made_at=said.evaluated_at
        )
        problems = signed.problems
        if GATE not in signed.roles and not problems:
            problems.append("the gate has not signed it")
        if (said.name, said.environment) != (name.split("/")[1], self._environment):
            problems.append(f"it is about {said.name} in {said.environment}")
        if said.series not in (None, int(name.split("/")[2])):
            problems.append(f"it is about series {said.series}")
        if not problems:
            self._states(name, said)
        lacking = [role for role in ROLES if role not in signed.roles]
        left = f"; not signed for {', '.join(lacking)}" if lacking else ""
        about = f"{said.result} at {iso(said.evaluated_at)}, run {said.run_id}"
        return _ItemResult(problems, f"{about}; signed by {signed.words()}{left}")

    def _decided_by(self, name: str, made_at: datetime) -> Callable[[str], datetime | None]:
        """By when what was made at a moment was signed, as the decision in this file proves where the gate signed that."""
        try:
            decision = read_envelope(self._files[name])
            decided = decision_facts(read_statement(decision.payload))
        except (KeyError, MalformedEnvelope):
            return lambda _: None
        roles, problems = self._signers(decision, lambda _: decided.time_verified)
        return stated_by(decided, made_at) if roles == {GATE} and not problems else lambda _: None

    def _states(self, name: str, said: ReadinessFacts) -> None:
        self._statements[name] = said
        self._named.setdefault(said.run_id, {}).setdefault(said.evidence_digest, name)

    def _said(self, name: str) -> _ItemResult:
        envelope = read_envelope(self._files[name], STATED_TYPE)
        said = strict_json(envelope.payload)
        if said["schema"] != "phase5.stated/v1":
            raise ValueError(f"schema {said['schema']!r}")
        stated_at, document = parse_iso(str(said["stated_at"])), dict(said["document"])
        roles, problems = self._signers(envelope, lambda _: stated_at, STATED_TYPE)
        if roles != {GATE} and not problems:
            problems.append("the gate has not signed it")
        if (said["release"], f"{said['series']:06d}", said["environment"]) != (*name.split("/")[1:3], self._environment):
            problems.append(f"it is about {said['release']}, series {said['series']}, in {said['environment']}")
        run_id, digest = document.get("run_id"), document.get("evidence_digest")
        if not problems and run_id and digest not in (None, NO_EVIDENCE):
            self._told.setdefault(str(run_id), {}).setdefault(str(digest), name)
        if not problems and (beginning := _PROMOTED_BY.get(str(dict(document.get("candidate") or {}).get("fate")))) is not None:
            self._over[f"{name.rpartition('/')[0]}/{beginning}"] = name
        blockers = document.get("blockers") or []
        return _ItemResult(problems, f"{document.get('decision')} at {iso(stated_at)}, {len(blockers)} blockers")

    def _waiver(self, name: str) -> _ItemResult:
        envelope = read_envelope(self._files[name], WAIVER_TYPE)
        waiver = waiver_of(envelope.payload.decode("ascii"))
        shown = {
            role: min((each.evaluated_at for each in self._statements.values() if shows_waiver(each, waiver, role)), default=None)
            for role in ROLES
        }
        unused = not any(shown.values())
        signed = self._signatures(
            envelope,
            lambda key_id: shown.get(self._keys.keys[key_id].role),
            WAIVER_TYPE,
            made_at=waiver.issued_at if unused else None,
        )
        problems = signed.problems
        if len(signed.roles) > 1 or not signed.roles <= set(ROLES) or not (signed.roles or signed.uncounted):
            problems = problems or ["no role has signed it"]
        if name.rpartition("/")[2] != f"{waiver.id}.dsse.json" or waiver.environment != self._environment:
            problems.append(f"it is waiver {waiver.id} for {waiver.environment or 'no environment'}")
        findings = ", ".join(f"{code}@{subject}" if subject else code for code, subject in sorted(waiver.pairs))
        until = f"until {iso(waiver.until)}: {waiver.reason} ({waiver.ticket})"
        return _ItemResult(problems, f"{waiver.row} {findings}, by {waiver.identity} for {signed.words()} {until}", signed.good)

    def _acceptance(self, name: str) -> _ItemResult:
        envelope = read_envelope(self._files[name], ACCEPTANCE_TYPE)
        found = acceptance_of(envelope.payload)
        signed = self._signatures(envelope, lambda _: None, ACCEPTANCE_TYPE, made_at=found.at)
        problems = signed.problems
        if (signed.roles - {found.role} or not (signed.roles or signed.uncounted)) and not problems:
            problems.append(f"{found.role} has not signed it")
        if found.environment != self._environment:
            problems.append(f"it is for {found.environment}")
        return _ItemResult(problems, f"run {found.run_id}: {found}; signed by {signed.words()}", signed.good)

    # --- what is numbered ----------------------------------------------------------------------------------------------------

    def _chain(self, folder: str, kind: str) -> Iterator[CheckedItem]:
        """Records that are numbered without a gap, each of which names the one before."""
        before: tuple[int, str] | None = None
        for name in sorted(each for each in self._files if each.startswith(f"{folder}/")):
            try:
                envelope = read_envelope(self._files[name], kind)
                number, previous, at, about = self._link(folder, envelope)
            except (MalformedEnvelope, ValueError) as error:
                yield CheckedItem(ItemStatus.BAD, name, f"it cannot be read: {error}")
                continue
            roles, problems = self._signers(envelope, lambda _, at=at: at, kind)  # type: ignore[misc]
            if roles - {GATE}:
                problems.append(f"{', '.join(sorted(roles))} must not sign it")
            if name != f"{folder}/{number:09d}.dsse.json":
                problems.append(f"it is number {number}")
            if before is not None and number > before[0] + 1:
                yield CheckedItem(
                    ItemStatus.MISSING, f"{folder}/{before[0] + 1:09d} to {number - 1:09d}", "the numbers have a gap"
                )
            elif before is not None and previous != before[1]:
                problems.append(f"it does not follow number {before[0]} as that stands here")
            before = number, sha256_of(envelope.payload)
            if name in self._records:
                problems += self._run_problems(name)
                about += self._behind_signed(name)
            unsigned = not envelope.signatures and folder == "runs"  # a run that may not sign leaves its record unsigned
            good = ItemStatus.UNSIGNED if unsigned else ItemStatus.GOOD
            if folder == "deployed" and roles == {GATE} and not problems:
                self._observed[name] = observation_of(envelope.payload, "", b"").seen
            if not envelope.signatures and not unsigned:
                problems.append("the gate has not signed it")
            yield CheckedItem(ItemStatus.BAD, name, "; ".join(problems)) if problems else CheckedItem(good, name, about)

    def _link(self, folder: str, envelope: ReadEnvelope) -> tuple[int, str, datetime, str]:
        """Number, digest of the one before, moment and words of a record."""
        if folder == "runs":
            record = record_of(envelope.payload)
            found = record.found
            if found.environment != self._environment:
                raise ValueError(f"it is of {found.environment}")
            worst = sorted({str(verdict) for verdict in found.verdicts.values()})
            return record.seq, record.previous, found.ended_at, f"run {found.run_id}, {', '.join(worst) or 'nothing judged'}"
        seen = observation_of(envelope.payload, "", b"")
        if seen.seen.release.environment != self._environment:
            raise ValueError(f"it is of {seen.seen.release.environment}")
        return seen.number, seen.previous, seen.seen.observed_at, f"{seen.seen.release.name}: {seen.seen}"

    def _read_run_records(self) -> None:
        for name in sorted(each for each in self._files if each.startswith("runs/")):
            try:
                envelope = read_envelope(self._files[name], RECORD_TYPE)
                record = record_of(envelope.payload)
            except (MalformedEnvelope, ValueError):
                continue  # said where the numbers are looked at
            for key_id, signature in envelope.signatures.items():
                record = replace(record, key_id=key_id, signature=signature)
            self._records[name] = record
            if record.signature and not self._first_signed:
                self._first_signed = name

    def _rest_on_documents(self) -> None:
        """Notes the evidence that the gate's documents name.

        A document names what there was when it was said, maybe while the run went on. So a statement says more of the run, and so
        does the record of its end where the gate's key signed that.
        """
        for run_id, by in self._told.items():
            ended = {
                record.found.manifest: name
                for name, record in self._records.items()
                if record.found.run_id == run_id and self._signed_at_end(name, record)
            }
            self._named.setdefault(run_id, dict(list(ended.items())[-1:]) or by)

    def _signed_at_end(self, name: str, record: RunRecord) -> bool:
        envelope = read_envelope(self._files[name], RECORD_TYPE)
        return self._signers(envelope, lambda _: record.found.ended_at, RECORD_TYPE) == ({GATE}, [])

    def _run_problems(self, name: str) -> list[str]:
        """Why a record is not the one of a run that a signed file rests on; empty if it is, or nothing rests on the run.

        The gate freezes no statement on other evidence than was recorded, and none on a record without a signature where the one
        of the candidate before has one.
        """
        record = self._records[name]
        named = self._named.get(record.found.run_id, {})
        if not named or any(each > name for each, other in self._records.items() if other.found.run_id == record.found.run_id):
            return []
        problems = []
        compared = not record.signature or record.found.release_digest is not None  # others are as the gate signed them
        if others := sorted(by for digest, by in named.items() if digest != record.found.manifest and compared):
            problems.append(f"the run sealed {record.found.manifest}, and {', '.join(others)} names other evidence of it")
        earlier = [each for each in self._records.values() if record.seq - _LOOKED_BACK <= each.seq < record.seq]
        before = next((each for each in reversed(earlier) if each.found.release_digest is not None), None)
        frozen = any(said.run_id == record.found.run_id for said in self._statements.values())
        if frozen and not record.signature and before is not None and before.signature:
            problems.append(f"it is not signed, and record {before.seq}, of the candidate before, is")
        return problems

    def _behind_signed(self, name: str) -> str:
        """Words for a record without a signature behind one that has one."""
        first = self._first_signed
        return f"; not signed, though {first} is" if first and first < name and not self._records[name].signature else ""

    # --- what signed records name --------------------------------------------------------------------------------------------

    def _named_waivers(self) -> Iterator[CheckedItem]:
        for statement, said in sorted(self._statements.items()):
            for shown in said.waivers:
                if (problem := self._waiver_problem(statement, said, shown)) is not None:
                    yield problem

    def _waiver_problem(self, statement: str, said: ReadinessFacts, shown: StatedWaiver) -> CheckedItem | None:
        name = f"releases/{said.name}/waivers/{shown.id}.dsse.json"
        if name not in self._files:
            return CheckedItem(ItemStatus.MISSING, name, f"named by {statement}")
        try:
            waiver = waiver_of(read_envelope(self._files[name], WAIVER_TYPE).payload.decode("ascii"))
        except (MalformedEnvelope, ValueError):
            return None  # said where it was verified
        if not shows_waiver(said, waiver, str(shown.signed_by)):
            return CheckedItem(ItemStatus.BAD, name, f"{statement} shows another one of this id")
        return None

    def _named_runs(self) -> Iterator[CheckedItem]:
        """A run that something signed rests on has a record."""
        recorded = {record.found.run_id for record in self._records.values()}
        for run_id, by in sorted(self._named.items()):
            if run_id not in recorded:
                yield CheckedItem(ItemStatus.MISSING, f"the record of run {run_id}", f"named by {', '.join(sorted(by.values()))}")

    def _named_publications(self) -> Iterator[CheckedItem]:
        """What the gate saw deployed after a publication, or says was promoted, has the files of that publication."""
        for name, seen in self._observed.items():
            folder, published = promotion_folder(seen.release, seen.series, seen.override), publication_of(seen)
            if published not in self._files:
                yield CheckedItem(ItemStatus.MISSING, published, f"named by {name}")
            elif self._published.get(folder, seen.release) != seen.release:
                yield CheckedItem(ItemStatus.BAD, published, f"{name} names {seen.release.digest}")
        for beginning, name in self._over.items():
            if not any(each.startswith(beginning) and each.endswith(f"/{PUBLICATION_FILE}") for each in self._files):
                yield CheckedItem(ItemStatus.MISSING, f"{beginning.rstrip('-/')}/{PUBLICATION_FILE}", f"named by {name}")

    def _evidence(self) -> Iterator[CheckedItem]:
        folders: dict[str, dict[str, str]] = {}
        for name, digest in self._digests.items():
            if name.startswith(EVIDENCE):
                run_id, _, path = name.removeprefix(EVIDENCE).partition("/")
                folders.setdefault(run_id, {})[path] = digest
        for run_id in sorted(folders.keys() | self._named.keys()):
            yield self._folder(run_id, folders.get(run_id), self._named.get(run_id, {}))

    def _folder(self, run_id: str, there: dict[str, str] | None, named: Mapping[str, str]) -> CheckedItem:
        item = f"{EVIDENCE}{run_id}"
        if there is None:
            return CheckedItem(ItemStatus.MISSING, item, f"named by {', '.join(sorted(named.values()))}")
        if not named:
            return CheckedItem(ItemStatus.BAD, item, "nothing signed names it")
        sealed = there.pop("manifest.json", None)
        content = self._files.get(f"{item}/manifest.json")
        if sealed is None or content is None:
            return CheckedItem(ItemStatus.MISSING, f"{item}/manifest.json", f"named by {', '.join(sorted(named.values()))}")
        if set(named) != {sealed}:
            return CheckedItem(
                ItemStatus.BAD, item, f"its digest is {sealed}, and {', '.join(f'{by} names {d}' for d, by in named.items())}"
            )
        try:
            listed = {str(name): str(digest) for name, digest in dict(strict_json(content)).items()}
        except (MalformedEnvelope, TypeError, ValueError) as error:
            return CheckedItem(ItemStatus.BAD, item, f"its manifest cannot be read: {error}")
        if changed := [name for name in sorted(there) if there[name] != listed.get(name)]:
            return CheckedItem(ItemStatus.BAD, item, f"not as they were sealed: {', '.join(changed)}")
        if lost := sorted(listed.keys() - there.keys()):
            return CheckedItem(ItemStatus.MISSING, item, f"of its files: {', '.join(lost)}")
        return CheckedItem(ItemStatus.GOOD, item, f"{len(listed)} files as they were sealed, {sealed}")

    def _only_signature(self, name: str, kind: str) -> tuple[bytes, str, bytes]:
        envelope = read_envelope(self._files[name], kind)
        ((key_id, signature),) = envelope.signatures.items()
        return envelope.payload, key_id, signature
