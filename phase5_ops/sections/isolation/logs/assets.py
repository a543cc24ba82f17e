"""Row 4.2 as Dagster sees it: the tenant log scan and the check on it. Thin: reads, calls, reports."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

from phase5_ops.aws.iam import ledger_read, logs_read, tables_read
from phase5_ops.aws.iam_statements import Statement, statement
from phase5_ops.aws.ledger import plan_reading, read_window
from phase5_ops.aws.logs import LogEvent, LogWindow, list_log_groups, read_log_events, retention_reads
from phase5_ops.aws.reader import describe_failure
from phase5_ops.aws.s3.addresses import bucket_and_key
from phase5_ops.aws.s3.log_objects import s3_archives
from phase5_ops.aws.tables import describe_table_once, scan_items_once
from phase5_ops.ccnative.ledger import SORT_PREFIX, stamp_of
from phase5_ops.ccnative.tenants import parse_kill_switches
from phase5_ops.clock import epoch_milliseconds, iso
from phase5_ops.context import RunContext
from phase5_ops.engines.emr import job_statements
from phase5_ops.engines.places import KeptPlace, place_of, place_statements
from phase5_ops.evidence.table import Tables
from phase5_ops.input_files.archives import Archive, files
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.probing import own_work
from phase5_ops.reads import Read, ReadStatus, read_findings
from phase5_ops.sections.isolation.logs.engines.archives import ArchiveMerge
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions, HashKeyUnusable, shared_key, where_of
from phase5_ops.sections.isolation.logs.engines.hours import HourMerge, as_events
from phase5_ops.sections.isolation.logs.engines.kept_files import file_scans
from phase5_ops.sections.isolation.logs.evidence import (
    TENANT_LOG_SCAN,
    LedgerOwners,
    LogFacts,
    TenantLogScan,
    dictionary_of,
    scan_facts,
    scan_rows,
)
from phase5_ops.sections.isolation.logs.judge import NOT_TRIED_FACTS, OWN_READS, LogCode, judge_log_scan
from phase5_ops.sections.isolation.logs.preview import PREVIEW
from phase5_ops.sections.isolation.logs.reading import archive_read, missing_reads, not_read_again, scan_archive
from phase5_ops.sections.isolation.logs.run import LogRun
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY, HashKey
from phase5_ops.settings import Settings
from phase5_ops.verdict import CodeChapter, Judgement

log = logging.getLogger(__name__)

SOURCES = (
    Source("cloudwatch/logs", "Log lines of the platform's functions.", frozenset({"cloudwatch"})),
    Source("dynamodb/ledger", "Which trace and intent belongs to which tenant.", frozenset({"dynamodb"})),
)
_SLICES = 24  # a sampled window is read in this many pieces, so that no time of day is left out


def gather_log_scan(context: RunContext, _tables: Tables) -> TenantLogScan:
    """Scans every log line of the window for tenants that it should not name."""
    settings, reader, now, policy = context.settings, context.reader, context.now(), context.settings.logs
    tenants, tenants_read = scan_items_once(reader, settings.tables.tenants)
    known = parse_kill_switches(tenants, settings.tables.tenants)
    dictionary = dictionary_of((tenant.tenant for tenant in known.tenants), policy)
    reads = [tenants_read.unless_invalid(_malformed(len(known.malformed)))]
    begin = now - timedelta(hours=policy.window_hours)
    told = [tenant.tenant for tenant in known.tenants] if reads[0].status is ReadStatus.OK else []
    owners, ours, ledger_reads = _read_ledger(context, begin, told)
    reads += ledger_reads
    start, end = epoch_milliseconds(begin - timedelta(minutes=policy.lead_in_minutes)), epoch_milliseconds(now)
    days = int(policy.window_hours // 24) + 2
    probes = sorted(own_work.noted(context, days=days) | ours)
    place, key, key_reads = _shared_key(context)
    reads += key_reads
    conditions, engine = Conditions(dictionary.tenants, policy, key), settings.engine.log_scan
    archives, listing = _archives(context)
    scans = None
    if engine == "embedded":
        kept_in, where = settings.partials_folder, where_of(context)
        scans = file_scans(archives, conditions, kept_in, where=where, failure=describe_failure)
    with LogRun(
        dictionary.tenants,
        ledger=owners,
        canaries=settings.canary_tenants,
        probes=probes,
        exceptions=policy.exceptions,
        base64=policy.base64,
        any_case=policy.any_letter_case,
        key=scans.key if scans else key,
    ) as run:

        def consume(group: str, events: list[LogEvent]) -> None:
            run.events(group, as_events(events), judged_from=epoch_milliseconds(begin))

        groups, group_reads = list_log_groups(reader, policy.group_prefixes)
        reads += group_reads
        if engine == "dagster":
            reads += HourMerge(context, run, conditions, place, judged_from=epoch_milliseconds(begin)).merge(groups, start, end)
        else:
            window = LogWindow(_ranges(start, end, policy.sample_share), policy.requests_per_second)
            reads += read_log_events(reader, groups, window, consume)
        reads += retention_reads(groups, epoch_milliseconds(begin), end, group_reads[0])
        reads += listing
        if engine == "spark":
            reads += ArchiveMerge(context, run, conditions, place).merge(archives)
        elif scans:
            reads += scans.scan(run, archives)
        else:
            reads += _scan_archives(run, archives)
        scan = run.finish()
        reads += [*missing_reads(run), *not_read_again(run)]
    if scans:
        scans.forget()
    scan = replace(scan, foreign=sorted(scan.foreign, key=lambda hit: hit.group))  # groups are read side by side
    facts = scan_facts(scan, dictionary) | {
        "sampled_share": policy.sample_share,
        "ledger_owners": len(owners),
        "window_start": iso(begin),
        "window_end": iso(now),
    }
    return TENANT_LOG_SCAN.gathered(scan_rows(scan, dictionary), LogFacts(facts)).with_reads(reads, now)


def _shared_key(context: RunContext) -> tuple[KeptPlace, HashKey, list[Read]]:
    """Where parts of the scan that are made elsewhere are kept, and the hash key of the scan.

    Where the key cannot be read, no part can be merged: each is then reported, with the read that is returned here.
    """
    place = place_of(context.settings.partials_location, context.reader)
    if context.settings.engine.log_scan == "embedded":
        return place, OWN_KEY, []
    try:
        return place, shared_key(place), []
    except Exception as error:  # noqa: BLE001 - the border: whatever disk or store does becomes the read's status
        status, message = (ReadStatus.INVALID, str(error)) if isinstance(error, HashKeyUnusable) else describe_failure(error)
        return place, OWN_KEY, [archive_read(context.settings.partials_location, status, message, pages=0)]


def _read_ledger(run: RunContext, begin: datetime, tenants: list[str]) -> tuple[dict[str, str], set[str], list[Read]]:
    """Owner of each trace and intent that the ledger names since some time before the window, and the ids of our own work.

    Args:
        run: of this run.
        begin: of the window.
        tenants: whose partitions to query; empty where not all tenants are known, and then the table is scanned.
    """
    reader, table, policy = run.reader, run.settings.tables.ledger, run.settings.logs
    margin = timedelta(hours=policy.ledger_margin_hours)
    described = describe_table_once(reader, table)
    description = described.pages[0].get("Table", {}) if described.pages else {}
    days = policy.window_hours / 24 + margin / timedelta(days=1)
    partitions = sorted({*tenants, *run.settings.canary_tenants, *run.settings.replay.ledger_tenants}) if tenants else []
    plan = plan_reading(description, tenants=len(partitions), window_days=days, now=datetime.now(UTC))
    owners, ours = LedgerOwners(), set[str]()

    def take(entry: Mapping[str, Any]) -> None:
        owners.add(entry)
        ours.update(own_work.in_ledger([entry]))

    since = SORT_PREFIX + stamp_of(epoch_milliseconds(begin - margin))
    ledger_reads, _ = read_window(reader, table, plan=plan, tenants=partitions, since=since, take=take)
    return owners.owners(), ours, [ledger_reads[0].unless_invalid(_malformed(owners.malformed)), *ledger_reads[1:]]


def _archives(context: RunContext) -> tuple[list[Archive], list[Read]]:
    """The archives that the settings name, and a read for each location of which they are not known."""
    found, reads = list[Archive](), list[Read]()
    for location in context.settings.logs.archives:
        try:
            here = s3_archives(context.reader, location) if urlsplit(location).scheme == "s3" else files([location])
        except Exception as error:  # noqa: BLE001 - the border: whatever the store does becomes the read's status
            status, message = (ReadStatus.INVALID, str(error)) if isinstance(error, FileUnreadable) else describe_failure(error)
            reads.append(archive_read(location, status, message, pages=0))
            continue
        if not here:
            reads.append(archive_read(location, ReadStatus.NOT_FOUND, "no file there", pages=0))
        found += here
    return found, reads


def _scan_archives(run: LogRun, archives: list[Archive]) -> list[Read]:
    reads = []
    for archive in archives:
        log.info("scanning %s", archive.name)
        reads += scan_archive(run, archive, describe_failure)
    return reads


def _malformed(count: int) -> str | None:
    return f"{count} items that cannot be read" if count else None


def _ranges(start: int, end: int, share: float) -> tuple[tuple[int, int], ...]:
    """The window, or the first `share` of each of its slices; the lead-in belongs to the first slice."""
    if share >= 1:
        return ((start, end),)
    edges = [start + (end - start) * n // _SLICES for n in range(_SLICES + 1)]
    return tuple((a, a + max(1, int((b - a) * share))) for a, b in pairwise(edges))


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    table: TenantLogScan = tables["tenant_log_scan"]
    return judge_log_scan(
        table.rows,
        facts=table.facts.log_scan,
        reads=table.reads,
        policy=run.settings.logs,
        links=run.links,
        unread=read_findings(table.reads, ignoring=OWN_READS),
    )


def _kept_hours(settings: Settings) -> list[Statement]:
    """Reading the kept hours; their hash key is made by whoever is first.

    S3 says that an hour is not there only to who may list the bucket; to others it says that they may not read it.
    """
    if settings.engine.log_scan != "dagster":
        return []
    location = settings.partials_location
    kept = place_statements("KeepPartials", location, ["s3:GetObject", "s3:PutObject"])
    return [*kept, statement("FindPartials", ["s3:ListBucket"], [f"arn:*:s3:::{bucket_and_key(location)[0]}"])] if kept else []


EVIDENCE = (
    Evidence(
        name="tenant_log_scan",
        section="4",
        description="One row per log group with what was counted, and one per line that names a tenant it should not.",
        gather=gather_log_scan,
        owner="security-compliance",
        kinds=frozenset({"cloudwatch", "table"}),
        sources=("cloudwatch/logs", "dynamodb/ledger", "dynamodb/tenants"),
        iam=lambda settings: (
            *tables_read(settings.tables.tenants),
            *ledger_read(settings.tables.ledger),
            *logs_read(settings),
            *_kept_hours(settings),
            *job_statements(settings),
        ),
        preview=PREVIEW,
        table=TENANT_LOG_SCAN,
    ),
)
JUDGING = (
    Judging(
        "tenant_log_scan",
        {"no_foreign_tenant_in_logs": _judge},
        codes=(CodeChapter("4.2 Log scan", (LogCode,), "4.2"),),
        not_tried_facts={"no_foreign_tenant_in_logs": NOT_TRIED_FACTS},
    ),
)
