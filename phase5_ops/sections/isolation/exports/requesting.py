"""Asks the Control Center for an audit export of test tenant A, follows it to its file, and compares that with the ledger.

It sends what starts work, so it asks first whether it may, and shares the lease of the run's other probes. The link of a
completed export is followed without credentials, to S3 or to the embedded AWS of this machine and nowhere else, within a size
and a time.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from phase5_ops.aws.ledger import read_spans
from phase5_ops.aws.pace import growing_pauses
from phase5_ops.ccnative.audit_exports import MalformedExport, entries_of_export
from phase5_ops.ccnative.configuration_changes import entry_span
from phase5_ops.ccnative.ledger import PARTITION_PREFIX
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.input_files.json_text import json_value
from phase5_ops.probing import lease as leases
from phase5_ops.probing import own_work, stops
from phase5_ops.probing.client import MAX_BODY_BYTES, HttpClient
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.configured import Configured, require_settings
from phase5_ops.probing.dynamo import delete_items, put_items
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.giving_back import give_back
from phase5_ops.probing.guard import Ground, check_cross_tenant
from phase5_ops.probing.identity import Pool
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import JSON, HttpAnswer, Request
from phase5_ops.probing.tokens import tokens_of_run
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.exports.evidence import (
    AUDIT_EXPORT,
    AuditExport,
    ExportedEntry,
    ExportFacts,
    compared_entries,
)
from phase5_ops.sections.isolation.exports.filler import filler_entries, filler_trace
from phase5_ops.sections.isolation.exports.judge import ExportCode
from phase5_ops.settings import LOOPBACK_HOSTS
from phase5_ops.verdict import FindingCode

#: The name under which the export uses the lease of its run.
LEASE_USER = "audit-export"
#: The period ends so long ago: what is being written now is not in it, and indexes have what is.
_SETTLED = timedelta(seconds=60)
_PATH, _PENDING = "/audit/exports", "PENDING"
#: So long after the request the export may not be found: the Control Center's reads are eventually consistent.
_NOT_YET_SECONDS = 5.0
#: As the platform makes it; what names a tenant, a kind of item or nothing is none.
_EXPORT_ID = re.compile(r"exp-[A-Za-z0-9_-]{8,124}")
_S3_HOST = re.compile(r"([a-z0-9][a-z0-9.-]*\.)?s3([.-][a-z0-9-]+){0,3}\.amazonaws\.com(\.cn)?")
_SIGNED = {"X-Amz-Signature", "Signature"}  # of versions 4 and 2
_HTTPS = 443
_SHOWN = 200

Item = dict[str, Any]


def export_and_compare(run: RunContext, *, sleep: Callable[[float], None] = time.sleep) -> AuditExport:
    """The table `audit_export`; whatever keeps the export from being made or compared becomes an obstacle in its facts.

    Args:
        run: of this run.
        sleep: waits.
    """
    exporting = _Exporting(run, sleep)
    rows: list[ExportedEntry] = []
    try:
        rows = exporting.rows()
    except Obstructed as stop:
        exporting.facts = replace(exporting.facts, obstacle=asdict(stop.obstacle))
    return AUDIT_EXPORT.gathered(rows, exporting.facts).with_reads(exporting.reads, run.now())


@dataclass
class _Exporting:
    run: RunContext
    sleep: Callable[[float], None]
    reads: list[Read] = field(default_factory=list)
    facts: ExportFacts = field(default_factory=ExportFacts)

    def rows(self) -> list[ExportedEntry]:
        """Each entry, compared.

        Raises:
            Obstructed: there is no file to compare.
        """
        run, settings = self.run, self.run.settings
        configured = require_settings(settings)
        self.facts = replace(self.facts, tenant=configured.tenant_a, ledger=settings.tables.ledger)
        if configured.mode != "full":
            raise Obstructed(ExportCode.EXPORT_NOT_TRIED, "PHASE5_PROBE_MODE", expected="full", seen=configured.mode)
        self.reads += stops.require_no_stop(run.reader, settings, [configured.tenant_a, configured.tenant_b])
        run.at_end[LEASE_USER] = partial(give_back, settings, run.run_id)
        place = leases.ProbesPartition.of(settings)
        lease, reads = leases.acquire(run.reader, place, run.run_id, settings.probes, user=LEASE_USER)
        self.reads += reads
        try:
            return self._leased(configured)
        finally:
            self.reads.append(lease.release())
            run.at_end.pop(LEASE_USER, None)

    def _leased(self, configured: Configured) -> list[ExportedEntry]:
        period, items = self._period(configured.tenant_a)
        asking = _Asking(self.run, configured, self.sleep)
        try:
            text = asking.file(period)
        finally:
            self.reads += asking.reads
            self.facts = replace(self.facts, export_id=asking.export_id, waited=asking.waited)
        try:
            exported = entries_of_export(text)
        except MalformedExport as problem:
            self._remove(configured.tenant_a, asking.export_id)
            raise Obstructed(
                ExportCode.EXPORT_MALFORMED,
                f"export {asking.export_id}",
                expected="a JSON array of entries",
                seen=f"{len(text):,} characters: {problem}",
            ) from None
        rows = compared_entries(items, exported)
        if any(not row.in_ledger or row.in_file != 1 or row.differs for row in rows):
            items = self._entries(configured.tenant_a, period)  # one may have been written late
            rows = compared_entries(items, exported)
        self._remove(configured.tenant_a, asking.export_id)
        self.facts = replace(self.facts, file_bytes=len(text.encode()), compared=True)
        return rows

    # The ledger

    def _period(self, tenant: str) -> tuple[tuple[datetime, datetime], list[Item]]:
        """From when to when is exported, and what the ledger has of it; what makes more than a page of it is written first."""
        policy, until = self.run.settings.exports, self.run.now() - _SETTLED
        period = (until - timedelta(days=policy.days), until)
        items = self._entries(tenant, period)
        if self.facts.ledger_pages < policy.min_pages and not self._failed():
            filler = filler_entries(tenant, self.run.run_id, until - _SETTLED)
            own_work.note_export(self.run, filler_trace(self.run.run_id))
            written = put_items(self.run.reader, self.run.settings.tables.ledger, filler)
            self.reads += written
            if all(read.status is ReadStatus.OK for read in written):
                # until the indexes, which exports may be made from, have them
                self.sleep(self.run.settings.probes.settle_seconds)
                self.facts = replace(self.facts, planted=len(filler))
                items = self._entries(tenant, period)
        self.facts = replace(self.facts, period=[iso(moment) for moment in period])
        return period, items

    def _entries(self, tenant: str, period: tuple[datetime, datetime]) -> list[Item]:
        """What the ledger has of the period, and on how many pages."""
        items: list[Item] = []
        pages = 0

        def take(page: list[Item]) -> None:
            nonlocal pages
            pages += bool(page)
            items.extend(page)

        span = (PARTITION_PREFIX + tenant, *entry_span(*period))
        self.reads += read_spans(self.run.reader, self.run.settings.tables.ledger, [span], take)
        self.facts = replace(self.facts, ledger_pages=pages)
        return items

    def _failed(self) -> bool:
        return any(read.status is not ReadStatus.OK for read in self.reads)

    def _remove(self, tenant: str, export_id: str) -> None:
        """Removes the record of an export that is over; its file is the platform's to remove."""
        key = {"pk": {"S": PARTITION_PREFIX + tenant}, "sk": {"S": f"EXPORT#{export_id}"}}
        self.reads += delete_items(self.run.reader, self.run.settings.tables.audit_export, [key])


@dataclass
class _Asking:
    """The exchange with the Control Center and S3.

    Attributes:
        export_id: as the Control Center named it.
        waited: seconds from the request to its end.
    """

    run: RunContext
    configured: Configured
    sleep: Callable[[float], None]
    reads: list[Read] = field(default_factory=list)
    export_id: str = ""
    waited: float = 0.0
    _redactor: Redactor = field(default_factory=Redactor)

    def file(self, period: tuple[datetime, datetime]) -> str:
        """The exported file.

        Raises:
            Obstructed: there is none.
        """
        settings = self.run.settings
        pool = Pool(self.run.reader, self.configured.user_pool_id, self.configured.client_id, self._redactor)
        signed_in = tokens_of_run(self.run, pool, seconds=settings.exports.seconds)
        self._redactor = signed_in.redactor
        self.reads += signed_in.reads
        client = self._client(self.configured.control_center, settings.probes.request_timeout_seconds)
        headers = [("Accept", JSON), ("Authorization", f"Bearer {signed_in.supply.tokens[TokenKind.VALID]}")]
        began, (since, until) = time.monotonic(), period
        body = {"from": iso(since), "to": iso(until), "format": "json"}
        told = self._ask(client, Request("POST", _PATH, headers=[*headers, ("Content-Type", JSON)], body=body))
        said = told.get("export_id")
        self.export_id = said if isinstance(said, str) else ""
        if not _EXPORT_ID.fullmatch(self.export_id):
            raise self._stopped(ExportCode.EXPORT_REFUSED, "an export_id", f"{said!r}")
        own_work.note_export(self.run, self.export_id)
        for pause in growing_pauses():
            may_lack = time.monotonic() - began < _NOT_YET_SECONDS
            told = self._ask(client, Request("GET", f"{_PATH}/{self.export_id}", headers=headers), may_lack=may_lack)
            self.waited = time.monotonic() - began
            if told.get("status") == "COMPLETED":
                return self._fetched(told.get("presigned_url"))
            if told.get("status") != _PENDING or self.waited >= settings.exports.seconds:
                seen = f"{told.get('status')!r} after {self.waited:.1f} s" + (
                    f": {message}" if (message := told.get("error_message")) else ""
                )
                raise self._stopped(ExportCode.EXPORT_FAILED, f"COMPLETED within {settings.exports.seconds:g} s", seen)
            self.sleep(pause)
        raise AssertionError("pauses never end")

    def _client(self, url: str, seconds: float, most: int = MAX_BODY_BYTES) -> HttpClient:
        return HttpClient(
            url,
            timeout_seconds=seconds,
            user_agent=self.run.settings.probes.user_agent,
            redactor=self._redactor,
            shown_body=None,
            max_bytes=most,
        )

    def _ask(self, client: HttpClient, request: Request, *, may_lack: bool = False) -> Mapping[str, Any]:
        """What the Control Center says to a request for an export; `may_lack`: one that is not found is pending."""
        ids = frozenset({self.export_id} - {""})
        account = frozenset({self.run.settings.probes.account_a})
        check_cross_tenant(request, Ground(self.configured.tenant_a, self.configured.tenant_b, account, marks=ids))
        answer = client.send(request)
        if answer.problem is not None or answer.status is None:
            raise self._stopped(ExportCode.EXPORT_UNANSWERED, "an answer", answer.detail, request)
        if may_lack and answer.status == HTTPStatus.NOT_FOUND:
            return {"status": _PENDING}
        told = _told(answer)
        if answer.status >= HTTPStatus.BAD_REQUEST or told is None:
            seen = f"HTTP {answer.status}: {self._redactor(answer.body)[:_SHOWN]}"
            raise self._stopped(ExportCode.EXPORT_REFUSED, "the test tenant's own export", seen, request)
        return told

    def _fetched(self, url: object) -> str:
        """The file behind the link of a completed export."""
        policy = self.run.settings.exports
        endpoint = self.run.reader.client("s3").meta.endpoint_url
        parts, problem = checked_link(url, endpoint, f"{self.configured.tenant_a}/{self.export_id}.json")
        if problem is not None or parts is None:
            raise self._stopped(
                ExportCode.EXPORT_LINK_REFUSED, "a presigned https link to the export's object in S3", str(problem)
            )
        self._redactor.add(parts.query)
        client = self._client(f"{parts.scheme}://{parts.netloc}", policy.fetch_seconds, policy.max_megabytes * 1_000_000)
        answer = client.send(Request("GET", f"{parts.path}?{parts.query}"))
        if answer.problem is not None or answer.status != HTTPStatus.OK:
            seen = answer.detail or f"HTTP {answer.status}"
            raise self._stopped(ExportCode.EXPORT_NOT_FETCHED, f"at most {policy.max_megabytes} MB from {parts.hostname}", seen)
        return answer.body

    def _stopped(self, code: FindingCode, expected: str, seen: str, request: Request | None = None) -> Obstructed:
        subject = f"export {self.export_id}" if request is None else f"{request.method} {request.path}"
        return Obstructed(code, subject, expected=expected, seen=self._redactor(seen))


def _told(answer: HttpAnswer) -> Mapping[str, Any] | None:
    try:
        told = json_value(answer.body)
    except ValueError:
        return None
    return told if isinstance(told, Mapping) else None


def checked_link(url: object, endpoint: str, file: str) -> tuple[SplitResult | None, str | None]:
    """The parts of a link that may be followed; else why it may not.

    Args:
        url: as the Control Center gave it.
        endpoint: where this run reaches S3; one on this machine may be followed to, too.
        file: the end of the path of the file that was asked for; another may be a customer's.
    """
    if not isinstance(url, str) or not url:
        return None, f"no link: {json.dumps(url)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        return None, f"no address: {error}"
    host, own = parts.hostname or "", urlsplit(endpoint)
    where = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
    embedded = host in LOOPBACK_HOSTS and (parts.scheme, parts.netloc) == (own.scheme, own.netloc)
    in_s3 = parts.scheme == "https" and port in (None, _HTTPS) and _S3_HOST.fullmatch(host) is not None
    signed = _SIGNED & {name for name, _ in parse_qsl(parts.query)}
    if parts.username is not None or parts.password is not None or not (embedded or in_s3):
        return None, f"a link to {where}"
    if in_s3 and not signed:
        return None, f"a link to {where} without a signature, which anybody could follow"
    if not unquote(parts.path).endswith(f"/{file}"):
        return None, f"a link to {unquote(parts.path)}, and not to a file …/{file}"
    return parts, None
