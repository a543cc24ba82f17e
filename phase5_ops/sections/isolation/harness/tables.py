"""Reads every table of the platform for row 4.1: digests before the canary, changed items after it. Judges nothing.

A table of up to `compare_item_limit` items is compared whole; of a larger one, the test tenants' partitions and the index entries
under the execution's ids. Only digests of the first reading are stored: customers' items never become evidence.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated, Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.aws.tables import describe_table_once, scan_table, share_scan
from phase5_ops.ccnative.keys import BARE_TENANT_TABLES, ExecutionScope, plain
from phase5_ops.evidence.table import DeclaredTable, GatheredTable
from phase5_ops.probing.dynamo import query_partition
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.harness.evidence import TableImage, TableKeys, shown_key
from phase5_ops.settings import Settings, Tables

IAM_ACTIONS = ("dynamodb:ListTables", "dynamodb:DescribeTable", "dynamodb:Scan", "dynamodb:Query")

_THREADS = 4
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PlatformTable:
    """One table: its name in this account, its keys under the platform's own name, and whether it is compared whole."""

    name: str
    keys: TableKeys
    whole: bool


@dataclass(frozen=True, slots=True)
class SeenItem:
    """One item as the first reading keeps it; `key` (JSON) only where it names a test tenant."""

    table: Annotated[str, "name of the DynamoDB table"]
    key_digest: Annotated[str, "of the item's key"]
    item_digest: Annotated[str, "of the whole item"]
    key: Annotated[str, "as JSON, only where it names a test tenant"]


@dataclass(frozen=True, slots=True)
class StartedFacts:
    """`context`: what was begun, as JSON values; see `starting.py`."""

    context: dict[str, Any] = field(default_factory=dict)


ISOLATION_CANARY_STARTED = DeclaredTable(SeenItem, StartedFacts)
CanaryStarted = GatheredTable[SeenItem, StartedFacts]


def literal_names(tables: Tables) -> dict[str, str]:
    """The platform's own name of each table in the settings, by its name in this account."""
    fields = type(tables).model_fields
    return {getattr(tables, role): str(fields[role].default) for role in fields}


def find_tables(reader: AwsReader, settings: Settings) -> tuple[list[PlatformTable], list[Read]]:
    """The platform's tables: those of the account with its prefix, and those that the settings name."""
    listing = reader.paginate("dynamodb", "list_tables", "tables")
    literals = literal_names(settings.tables)
    ours = settings.tables.readiness
    prefix = settings.isolation.table_prefix
    listed = {str(name) for name in listing.items("TableNames")}
    named = set(literals) if listing.read.status is not ReadStatus.OK else set(literals) & listed
    names = sorted((named | {name for name in listed if name.startswith(prefix)}) - {ours})
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="harness") as workers:
        answers = list(workers.map(lambda name: describe_table_once(reader, name), names))
    reads, found = [listing.read], []
    for name, answer in zip(names, answers, strict=True):
        reads.append(answer.read)
        if answer.read.status is ReadStatus.OK:
            description = answer.pages[0].get("Table", {})
            keys = TableKeys.from_description(literals.get(name, name), description)
            whole = int(description.get("ItemCount") or 0) <= settings.isolation.compare_item_limit
            found.append(PlatformTable(name, keys, whole))
    return found, reads


def read_items(
    reader: AwsReader, tables: Sequence[PlatformTable], partitions: "Partitions", *, shared: bool = False
) -> tuple[dict[str, list[Item]], list[Read]]:
    """The items of each table, by its name: all, or those of the partitions. `shared`: other assets of the run may take them."""

    def one(table: PlatformTable) -> tuple[list[Item], list[Read]]:
        if table.whole:
            answer = scan_table(reader, table.name)
            if shared:
                share_scan(reader, table.name, answer)
            return answer.items("Items"), [answer.read]
        return _of_partitions(reader, table, partitions)

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="harness") as workers:
        results = list(workers.map(one, tables))
    reads = [read for _, made in results for read in made]
    return {table.name: items for table, (items, _) in zip(tables, results, strict=True)}, reads


@dataclass(frozen=True, slots=True)
class Partitions:
    """The partitions that are read of a table too large to be read whole.

    Attributes:
        tenants: the test tenants.
        accounts: their accounts.
        scope: the execution with its ids, once it is known.
    """

    tenants: tuple[str, ...]
    accounts: tuple[str, ...]
    scope: ExecutionScope | None = None

    def of_key(self, table: PlatformTable) -> list[str]:
        """Values of the table's partition key."""
        if table.keys.name in BARE_TENANT_TABLES:
            return list(self.tenants)
        if table.keys.key[:1] != ("pk",):
            return []
        tenants = [f"TENANT#{tenant}" for tenant in self.tenants]
        pairs = [(tenant, account) for tenant in self.tenants for account in self.accounts]
        return [
            *tenants,
            *(f"TENANT#{tenant}#ACCOUNT#{account}" for tenant, account in pairs),
            *(f"ACCOUNT#{tenant}#{account}" for tenant, account in pairs),
        ]

    @property
    def of_indexes(self) -> list[str]:
        """Partition key values under which an index may hold an item of the execution."""
        if self.scope is None:
            return []
        return [
            *(f"ACTION_INTENT#{intent}" for intent in sorted(self.scope.intents)),
            *(f"TRACE#{trace}" for trace in sorted(self.scope.traces)),
            *sorted(self.scope.intents | self.scope.traces | self.scope.decisions),
        ]


def _of_partitions(reader: AwsReader, table: PlatformTable, partitions: Partitions) -> tuple[list[Item], list[Read]]:
    found: dict[str, Item] = {}
    reads = []
    places: list[tuple[str | None, str, str]] = [(None, table.keys.key[0], value) for value in partitions.of_key(table)]
    places += [
        (index, names[0], value)
        for index, names in sorted(table.keys.indexes.items())
        if names
        for value in partitions.of_indexes
    ]
    for index, attribute, value in places:
        items, read = query_partition(reader, table.name, value, key=attribute, index=index)
        reads.append(read)
        found.update({_key(table, item): item for item in items})
    return list(found.values()), reads


def seen_items(
    tables: Sequence[PlatformTable], items: Mapping[str, Sequence[Item]], tenants: Iterable[str]
) -> Iterator[SeenItem]:
    """The first reading of every item: digests, and the key where it names a test tenant."""
    texts = [json.dumps(tenant, ensure_ascii=False)[1:-1] for tenant in tenants]
    for table in tables:
        for item in items[table.name]:
            key = _key(table, item)
            named = any(text in key for text in texts)
            yield SeenItem(table.name, _digest(key), _digest(item), key if named else "")


def images(tables: Sequence[PlatformTable], before: Iterable[SeenItem], after: Mapping[str, Sequence[Item]]) -> list[TableImage]:
    """The items that changed between the two readings, by table; a removed item is known by its key alone."""
    earlier: dict[str, dict[str, SeenItem]] = {}
    for seen in before:
        earlier.setdefault(seen.table, {})[seen.key_digest] = seen
    return [_image(table, earlier.get(table.name, {}), after[table.name]) for table in tables]


def _image(table: PlatformTable, before: Mapping[str, SeenItem], after: Sequence[Item]) -> TableImage:
    old: list[Item] = []
    new: list[Item] = []
    there = set()
    for item in after:
        digest = _digest(_key(table, item))
        there.add(digest)
        known = before.get(digest)
        if known is not None and known.item_digest == _digest(item):
            continue
        new.append(item)
        if known is not None:
            old.append({name: item[name] for name in table.keys.key if name in item})
    for digest, seen in before.items():
        if digest not in there and seen.key:
            old.append({name: {"S": value} for name, value in json.loads(seen.key).items() if value is not None})
    return TableImage(table.keys, old, new)


def _key(table: PlatformTable, item: Item) -> str:
    """The key of an item as evidence has it."""
    return shown_key(table.keys.key, {name: plain(item[name]) for name in table.keys.key if name in item})


def _digest(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
