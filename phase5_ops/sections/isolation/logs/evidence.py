"""The evidence of row 4.2: the tenant dictionary, the owners that the ledger knows, and the scan as rows. Pure."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

from phase5_ops.ccnative.attributes import AttributeProblem, as_item, attribute, text
from phase5_ops.ccnative.log_lines import NO_VALUE, REQUEST_FIELDS, TENANT_FIELDS, WORK_FIELDS
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import LogScanPolicy
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.edits import names_of
from phase5_ops.sections.isolation.logs.layers import MAX_LAYERS
from phase5_ops.sections.isolation.logs.run import LogScan
from phase5_ops.sections.isolation.logs.tokens import MAX_ID_BYTES

#: Kinds of rows.
GROUP, FOREIGN, NOT_SCANNABLE = "group", "foreign", "not_scannable"

#: Words that are common in the platform's lines of every tenant.
_PLATFORM_WORDS = frozenset(
    [
        "ACCOUNT",
        "ACTION",
        "ACTION_INTENT",
        "BUDGET",
        "CONNECTOR",
        "DEBUG",
        "END",
        "ERROR",
        "EXECUTION",
        "FAILED",
        "INFO",
        "RUNNING",
        "START",
        "REPORT",
        "SUCCEEDED",
        "TENANT",
        "TRACE",
        "WARN",
        "Version",
        "Duration",
        "Error",
        "TypeError",
        "account",
        "action",
        "active",
        "admin",
        "adapter",
        "agent",
        "api",
        "app",
        "attempt",
        "audit",
        "aws",
        "budget",
        "calendar",
        "circuit",
        "closed",
        "code",
        "config",
        "connector",
        "crm",
        "create",
        "created",
        "customer",
        "data",
        "decision",
        "default",
        "deleted",
        "demo",
        "dev",
        "disabled",
        "duration",
        "enabled",
        "error",
        "event",
        "execution",
        "export",
        "failed",
        "false",
        "foo",
        "from",
        "gateway",
        "global",
        "handler",
        "http",
        "https",
        "id",
        "info",
        "initiated",
        "intent",
        "internal",
        "invoked",
        "item",
        "json",
        "key",
        "lambda",
        "latest",
        "local",
        "log",
        "main",
        "message",
        "name",
        "node",
        "none",
        "note",
        "number",
        "object",
        "open",
        "org",
        "platform",
        "post",
        "prod",
        "production",
        "public",
        "received",
        "replay",
        "request",
        "root",
        "route",
        "sandbox",
        "service",
        "shared",
        "signal",
        "stack",
        "staging",
        "started",
        "state",
        "status",
        "success",
        "system",
        "table",
        "task",
        "tenant",
        "test",
        "title",
        "tool",
        "trace",
        "true",
        "type",
        "undefined",
        "unknown",
        "update",
        "us",
        "user",
        "value",
        "version",
        "web",
    ]
)
_MIN_DIGITS = 6
_LAST = chr(0x10FFFF)  # no sort key comes after it

_Count = Annotated[int, Column(least=0)]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of `tenant_log_scan`: a log group or file with its counts, a foreign hit, or an id that cannot be searched for."""

    kind: Annotated[str, "what the row is about", Column(among=(GROUP, FOREIGN, NOT_SCANNABLE))]
    group: Annotated[str, "log group or file"] = ""
    stream: Annotated[str, "of a hit"] = ""
    time: Annotated[str, "of the line, ISO-8601"] = ""
    request: Annotated[str, "id of the invocation"] = ""
    owner: Annotated[str, "tenant whose invocation it is"] = ""
    foreign: Annotated[str, "tenant that the line names; of not_scannable: the id"] = ""
    excerpt: Annotated[str, "nothing of the line but known field names"] = ""
    written: Annotated[str, "the id as the line has it, where something hides it"] = ""
    layers: Annotated[str, "what hid it there"] = ""
    line: Annotated[_Count, "its number in the stream or file"] = 0
    lines: Annotated[_Count, "number of lines that were scanned"] = 0
    bytes: Annotated[_Count, "number of bytes that were scanned"] = 0
    naming: Annotated[_Count, "number of lines that name a tenant"] = 0
    unattributed: Annotated[_Count, "number of those lines without a known owner"] = 0
    foreign_hits: Annotated[_Count, "number of lines that name a foreign tenant"] = 0
    probes_set_aside: Annotated[_Count, "number of hits that our own probes explain"] = 0
    listed_set_aside: Annotated[_Count, "number of hits that exceptions of the policy cover"] = 0
    too_deep: Annotated[_Count, "number of lines with more layers of encodings than are undone"] = 0


@dataclass(frozen=True, slots=True)
class LogFacts:
    """`log_scan`: the settings of the scan, see `scan_facts`; sampled share, window."""

    log_scan: dict[str, Any] = field(default_factory=dict)


TENANT_LOG_SCAN = DeclaredTable(LogRow, LogFacts)
TenantLogScan = GatheredTable[LogRow, LogFacts]


@dataclass(frozen=True)
class Dictionary:
    """The ids to search for, and what was wrong with the list they came from."""

    tenants: TenantDictionary
    duplicates: int
    blanks: int
    stripped: int
    too_long: tuple[str, ...]

    @property
    def not_scannable(self) -> list[str]:
        """Ids that are judged in structured places only, or not at all."""
        return sorted({*(self.tenants.ids[n] for n in self.tenants.structured_only), *self.too_long})


def dictionary_of(names: Iterable[str], policy: LogScanPolicy) -> Dictionary:
    """The dictionary of these ids: each once, without surrounding blanks, empty ones left out."""
    given = list(names)
    bare = [name.strip() for name in given]
    filled = [name for name in bare if name]
    distinct = tuple(dict.fromkeys(filled))
    too_long = tuple(name for name in distinct if len(name.encode("utf-8", "surrogatepass")) > MAX_ID_BYTES)
    ids = tuple(name for name in distinct if name not in too_long)
    common = {*_PLATFORM_WORDS, *policy.common_words, *TENANT_FIELDS, *WORK_FIELDS, *REQUEST_FIELDS, *NO_VALUE}
    restricted = frozenset(number for number, name in enumerate(ids) if _is_common(name, common, policy.min_free_text_length))
    return Dictionary(
        TenantDictionary(ids, restricted),
        duplicates=len(filled) - len(distinct),
        blanks=len(given) - len(filled),
        stripped=sum(name != kept for name, kept in zip(given, bare, strict=True) if kept),
        too_long=too_long,
    )


def _is_common(name: str, common: set[str], shortest: int) -> bool:
    """Whether an id is too short, a common word, a short number as any counter shows, or only separators."""
    letters = sum(character.isalnum() for character in name)
    return letters < shortest or name in common or name.casefold() in common or (name.isdigit() and len(name) < _MIN_DIGITS)


class LedgerOwners:
    """Owner of each trace and intent that ledger entries name. If two tenants have one id, the earlier entry counts.

    Attributes:
        malformed: entries that could not be read.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self._first: dict[str, tuple[str, str]] = {}  # id -> (sort key, tenant), the least

    def add(self, entry: object) -> None:
        """Takes an entry in DynamoDB JSON, with tenantId, traceId and data.action_intent_id; in any order."""
        try:
            item = as_item(entry)
            tenant, trace, written = text(item, "tenantId"), text(item, "traceId"), text(item, "sk") or ""
            data = attribute(item, "data", "M") or {}
            intent = text(data, "action_intent_id")
        except AttributeProblem:
            self.malformed += 1
            return
        if not tenant:
            self.malformed += 1
            return
        said = (written, tenant)
        for key in (trace, intent):
            if key and said < self._first.get(key, (_LAST, "")):
                self._first[key] = said

    def owners(self) -> dict[str, str]:
        """Tenant of each id."""
        return {key: tenant for key, (_, tenant) in self._first.items()}


def scan_rows(scan: LogScan, dictionary: Dictionary) -> list[LogRow]:
    """A row for each log group or file, each detailed foreign hit, and each id that cannot be searched for in free text."""
    rows = []
    for group, totals in sorted(scan.totals.items()):
        counts = asdict(totals)
        rows.append(LogRow(GROUP, group, foreign_hits=counts.pop("foreign"), **counts))
    rows += [LogRow(FOREIGN, **asdict(hit)) for hit in scan.foreign]
    rows += [LogRow(NOT_SCANNABLE, foreign=name) for name in dictionary.not_scannable]
    return rows


def scan_facts(scan: LogScan, dictionary: Dictionary) -> dict[str, Any]:
    """The settings and limits of a scan; `layers` are the encodings that were decoded to find ids."""
    return {
        "tenants": len(dictionary.tenants.ids),
        "duplicate_ids": dictionary.duplicates,
        "blank_ids": dictionary.blanks,
        "ids_with_blanks_around": dictionary.stripped,
        "owners_forgotten": scan.forgotten,
        "layers": ", ".join(names_of(scan.layers)),
        "layers_not_searched": ", ".join(names_of(~scan.layers)),
        "layers_at_most": MAX_LAYERS,
    }
