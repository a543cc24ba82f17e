"""The platform's key grammar: which tenant a key, an attribute, an S3 key or an event detail names, and whether it is in scope.

What lives here: how keys are read, and the one table of approved exceptions (`APPROVED`). One file, since keys, attributes, S3
keys and event details are read by the same helpers. What must not: reading tables, deciding verdicts. Pure.

Grammar (observed): `TENANT#<tenant>`, `TENANT#<tenant>#ACCOUNT#<account>`, the tenant in second place
(`ACCOUNT#<tenant>#<account>`, `SIGNAL#<tenant>#<id>`), sort keys `TENANT#<tenant>` under `USER#` and `AGENT#`, bare tenant ids as
partition keys of six tables, S3 keys `audit-exports/<tenant>/...`, references `execution://<tenant>/...`.

A tenant id may hold any character, `#` too, so a key is compared with the known tenants: every known tenant that fits as whole
segments is a reading. One reading is the answer; two make the key AMBIGUOUS. `TENANT#acme` is not in scope for `acme-eu`, nor the
reverse.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from phase5_ops.ccnative.names import canonical_connector

#: Tables whose partition key is the bare tenant id, attribute `tenantId`.
BARE_TENANT_TABLES = frozenset(
    {
        "cc-native-tenants",
        "cc-native-signals",
        "cc-native-accounts",
        "cc-native-approval-requests",
        "cc-native-action-queue",
        "cc-native-policy-config",
    }
)
#: Tables whose key is free text: the tenant must be a segment of it, whatever the separator.
FREE_FORM_KEYS = {"cc-native-cache": "cacheKey"}

_KIND = re.compile(r"[A-Z][A-Z0-9_]*(#.*)?", re.DOTALL)  # what may follow a tenant: a segment name and its value
_TENANT_SEGMENT = re.compile(r"(?<![A-Za-z0-9_-])TENANT#")
_AFTER_A_KEY = re.compile(r"""[\s"'`\\,;&<>()\[\]{}]""")  # how a text goes on behind a key that stands in it
_SECOND_PLACE = ("ACCOUNT#", "SIGNAL#")
_TENANT_IN_SORT_KEY = ("USER#", "AGENT#")  # partition keys whose sort key names the tenant
_PATH_FORMS = ("audit-exports/", "execution://")
_HIVE_FORM = re.compile(r"(?:^|[/?&])tenant(?:_?id)?=([^/&?#\s]+)", re.IGNORECASE)
_SEPARATORS = re.compile(r"[#:/|]")
_MAX_JSON_TEXT = 1_000_000
_MAX_DEPTH = 40
_MIN_MARKER = 8


class KeyScope(StrEnum):
    """What a key says about its owner."""

    OWN = "own"  # names the execution's tenant, and no other
    APPROVED = "approved"  # an approved tenant-less form that refers to this execution
    FOREIGN = "foreign"  # names another tenant
    WITHOUT_TENANT = "without tenant"  # names none, and is no approved form of this execution
    AMBIGUOUS = "ambiguous"  # two known tenants fit the key


class Reference(StrEnum):
    """Which id of the execution an approved tenant-less key must name."""

    CONNECTOR = "connector of its tool"
    ACTION_TYPE = "its action type"
    IDEMPOTENCY_KEY = "its idempotency key"
    INTENT = "its action intent"
    TRACE = "its trace"
    ACCOUNT = "its account"
    DECISION = "its decision"


@dataclass(frozen=True, slots=True)
class ApprovedForm:
    """One exception to the rule that a key names the tenant.

    The reference follows `prefix`; with `reference_in`, `prefix` is the whole value and that attribute holds the reference.
    `written` is False where an execution only reads.
    """

    table: str
    index: str  # "" is the table's own key
    attribute: str
    prefix: str
    reference: Reference
    justification: str
    written: bool = True
    reference_in: str | None = None

    @property
    def form(self) -> str:
        """How the key looks."""
        if self.reference_in:
            return f"{self.attribute} = {self.prefix}, {self.reference_in} = <{self.reference}>"
        return f"{self.attribute} = {self.prefix}<{self.reference}>"


#: Every exception with its justification; the report shows this table. A form counts only if it refers to the execution at hand.
APPROVED: tuple[ApprovedForm, ...] = (
    ApprovedForm(
        "cc-native-resilience",
        "",
        "pk",
        "CONNECTOR#",
        Reference.CONNECTOR,
        "A breaker and its slots protect one connector for all tenants together, by contract; the items hold no tenant data.",
    ),
    ApprovedForm(
        "cc-native-action-type-registry",
        "",
        "pk",
        "ACTION_TYPE#",
        Reference.ACTION_TYPE,
        "The registry is reference data of the platform; an execution reads it and never writes it.",
        written=False,
    ),
    ApprovedForm(
        "cc-native-external-write-dedupe",
        "",
        "pk",
        "IDEMPOTENCY_KEY#",
        Reference.IDEMPOTENCY_KEY,
        "The key is a SHA-256 over tenant, intent, tool and parameters: it cannot collide between tenants.",
    ),
    ApprovedForm(
        "cc-native-autonomy-config",
        "",
        "pk",
        "AUTO_EXEC_STATE",
        Reference.INTENT,
        "The reservation of an automatic execution is found by its intent id alone; the item holds no tenant data.",
        reference_in="sk",
    ),
    ApprovedForm(
        "cc-native-ledger",
        "gsi1-index",
        "gsi1pk",
        "TRACE#",
        Reference.TRACE,
        "The index follows one trace; a trace id is made anew for each execution, and the item's own key names the tenant.",
    ),
    ApprovedForm(
        "cc-native-execution-attempts",
        "gsi1-index",
        "gsi1pk",
        "ACTION_INTENT#",
        Reference.INTENT,
        "The index finds an attempt by its intent, whose id is unique; the item's own key names the tenant.",
    ),
    ApprovedForm(
        "cc-native-execution-outcomes",
        "gsi1-index",
        "gsi1pk",
        "ACTION_INTENT#",
        Reference.INTENT,
        "The index finds an outcome by its intent, whose id is unique; the item's own key names the tenant.",
    ),
    ApprovedForm(
        "cc-native-action-intent",
        "action-intent-id-index",
        "action_intent_id",
        "",
        Reference.INTENT,
        "The index finds an intent by its unique id; the item's own key names the tenant.",
    ),
    ApprovedForm(
        "cc-native-action-intent",
        "account-index",
        "account_id",
        "",
        Reference.ACCOUNT,
        "The index lists an account's intents; the item's own key names the tenant. Account ids must be unique over all tenants.",
    ),
    ApprovedForm(
        "cc-native-decision-proposal",
        "decision-id-index",
        "decision_id",
        "",
        Reference.DECISION,
        "The index finds a proposal by its unique id; the item's own key names the tenant.",
    ),
    ApprovedForm(
        "cc-native-signals",
        "accountId-index",
        "accountId",
        "",
        Reference.ACCOUNT,
        "The index lists an account's signals; the item's own key is the tenant. Account ids must be unique over all tenants.",
    ),
    ApprovedForm(
        "cc-native-tool-runs",
        "",
        "traceId",
        "",
        Reference.TRACE,
        "A tool run is kept under its trace, which is made anew for each execution (read in the code, not seen in a run).",
    ),
)


@dataclass(frozen=True, slots=True)
class ExecutionScope:
    """One execution: its tenant, everything a tenant-less key may refer to, and the tenants it must not touch.

    Attributes:
        tenant: the tenant that executes.
        accounts, intents, traces, decisions, idempotency_keys, action_types, connectors: the execution's own ids.
        objects: ids of what it made (notes, tasks), as its outcome names them; such an item may hold no other id of it.
        other_tenants: every other known tenant; keys are compared with them.
        foreign_markers: ids of the other test tenant (accounts, intents) that no text of this execution may hold.
    """

    tenant: str
    accounts: frozenset[str] = frozenset()
    intents: frozenset[str] = frozenset()
    traces: frozenset[str] = frozenset()
    decisions: frozenset[str] = frozenset()
    idempotency_keys: frozenset[str] = frozenset()
    action_types: frozenset[str] = frozenset()
    connectors: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()
    other_tenants: frozenset[str] = frozenset()
    foreign_markers: frozenset[str] = frozenset()
    _own_ids: frozenset[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses an empty tenant, which every malformed key would match.

        Raises:
            ValueError: no tenant.
        """
        if not self.tenant:
            raise ValueError("an execution's scope needs a tenant")
        object.__setattr__(self, "other_tenants", self.other_tenants - {self.tenant, ""})
        object.__setattr__(self, "_own_ids", self.intents | self.traces | self.idempotency_keys | self.objects)

    @property
    def execution_ids(self) -> frozenset[str]:
        """Ids that only this execution has: whatever mentions one of them was written for it."""
        return self._own_ids

    def refers(self, reference: Reference, value: str) -> bool:
        """True if `value` is this execution's own id of that kind."""
        if reference is Reference.CONNECTOR:
            return value in self.connectors or canonical_connector(value) in self.connectors
        ids: Mapping[Reference, frozenset[str]] = {
            Reference.ACTION_TYPE: self.action_types,
            Reference.IDEMPOTENCY_KEY: self.idempotency_keys,
            Reference.INTENT: self.intents,
            Reference.TRACE: self.traces,
            Reference.ACCOUNT: self.accounts,
            Reference.DECISION: self.decisions,
        }
        return bool(value) and value in ids[reference]


@dataclass(frozen=True, slots=True)
class KeyJudgement:
    """What one key says; `tenant` is the one it names, None where it names none or where two fit."""

    scope: KeyScope
    tenant: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Naming:
    """A place that names a tenant: its path in the item, the tenant, how it is named, and whether it may be there."""

    path: str
    tenant: str
    how: str  # "field", "key", "path" or "text"
    scope: KeyScope


def judge_key(table: str, index: str, key: Mapping[str, str], scope: ExecutionScope, *, written: bool = True) -> KeyJudgement:
    """Whether a key of `table` is in the scope of an execution.

    Args:
        table: the platform's name of the table (`cc-native-ledger`).
        index: the index, or "" for the table's own key.
        key: the key's attributes that hold text, partition key first; an absent or non-text one is left out.
        scope: the execution.
        written: True for a key that was written, False for one that was only read.
    """
    named = _tenants_of_key(table, key, scope)
    foreign = [naming for naming in named if naming.scope is KeyScope.FOREIGN]
    if foreign:
        return KeyJudgement(KeyScope.FOREIGN, foreign[0].tenant, f"{foreign[0].path} names tenant {foreign[0].tenant!r}")
    if any(naming.scope is KeyScope.AMBIGUOUS for naming in named):
        return KeyJudgement(KeyScope.AMBIGUOUS, None, "two known tenants fit the key, since an id holds the separator #")
    owner = next((naming for naming in named if _says_whose(table, key, naming.path)), None)
    if owner is not None:
        return KeyJudgement(KeyScope.OWN, scope.tenant, f"{owner.path} names the execution's tenant as a whole segment")
    return _tenantless(table, index, key, scope, written)


def _says_whose(table: str, key: Mapping[str, str], attribute: str) -> bool:
    """Whether a tenant in this attribute makes the key that tenant's: only the partition key does, but for two of its forms."""
    partition = next(iter(key))
    return (
        attribute == partition
        or (table in BARE_TENANT_TABLES and attribute == "tenantId")
        or key[partition].startswith(_TENANT_IN_SORT_KEY)
    )


def _tenantless(table: str, index: str, key: Mapping[str, str], scope: ExecutionScope, written: bool) -> KeyJudgement:
    """The judgement of a key that names no tenant."""
    for form in APPROVED:
        value = key.get(form.attribute)
        if (form.table, form.index) != (table, index) or value is None:
            continue
        if form.reference_in is None:
            fits, reference = value.startswith(form.prefix), value[len(form.prefix) :]
        else:
            fits, reference = value == form.prefix, key.get(form.reference_in, "")
        if not fits:
            continue
        if not scope.refers(form.reference, reference):
            return KeyJudgement(KeyScope.WITHOUT_TENANT, None, f"approved form {form.form}, but not of this execution")
        if written and not form.written:
            return KeyJudgement(KeyScope.WITHOUT_TENANT, None, f"{form.form} is read by executions, never written")
        return KeyJudgement(KeyScope.APPROVED, None, form.justification)
    return KeyJudgement(KeyScope.WITHOUT_TENANT, None, "names no tenant, and is no approved form")


def _tenants_of_key(table: str, key: Mapping[str, str], scope: ExecutionScope) -> list[Naming]:
    """Every tenant that a key names, by the table's grammar."""
    if table in BARE_TENANT_TABLES and "tenantId" in key:
        bare = key["tenantId"]
        rest = [naming for name, value in key.items() if name != "tenantId" for naming in _segments(name, value, scope)]
        return [Naming("tenantId", bare, "key", _relation(bare, scope)), *rest] if bare else rest
    if (attribute := FREE_FORM_KEYS.get(table)) and attribute in key:
        return _free_form(attribute, key[attribute], scope)
    named: list[Naming] = []
    for position, (name, value) in enumerate(key.items()):
        named += _segments(name, value, scope)
        if position == 0 and value in scope.other_tenants:
            named.append(Naming(name, value, "key", KeyScope.FOREIGN))
        if position == 0:
            named += _unknown_second_place(name, value, scope)
    return named


def _segments(path: str, text: str, scope: ExecutionScope, *, in_text: bool = False) -> Iterator[Naming]:
    """The tenants after each `TENANT#` that starts a segment, and a known one in second place.

    A `TENANT#` inside a tenant id is part of the id. `in_text`: the text may go on behind a key.
    """
    position = 0
    for prefix in _SECOND_PLACE:
        rest = text[len(prefix) :]
        if text.startswith(prefix) and any(_fits_second_place(rest, tenant) for tenant in (scope.tenant, *scope.other_tenants)):
            naming = _reading(path, rest, scope, _fits_second_place)
            yield naming
            position = len(prefix) + len(naming.tenant)
    while match := _TENANT_SEGMENT.search(text, position):
        rest = text[match.end() :]
        if not rest:
            return
        naming = _reading_in_text(path, rest, scope) if in_text else _reading(path, rest, scope, _fits_segments)
        if naming.tenant:
            yield naming
        position = match.end() + len(naming.tenant)


def _reading_in_text(path: str, rest: str, scope: ExecutionScope) -> Naming:
    """Whom a key names that stands in a text: it ends where no tenant id fits as a whole; "" where it ends at once."""
    known = (scope.tenant, *scope.other_tenants)
    if any(_fits_segments(rest, tenant) for tenant in known):
        return _reading(path, rest, scope, _fits_segments)
    fitting = [tenant for tenant in known if rest.startswith(tenant) and _AFTER_A_KEY.match(rest, len(tenant))]
    tenant = max(fitting, key=len) if fitting else _unknown_tenant(_AFTER_A_KEY.split(rest, maxsplit=1)[0])
    return Naming(path, tenant, "key", _relation(tenant, scope))


def _unknown_second_place(path: str, text: str, scope: ExecutionScope) -> Iterator[Naming]:
    """The tenant of a key `ACCOUNT#<tenant>#<account>` that no known tenant fits; with one part only the key names none."""
    for prefix in _SECOND_PLACE:
        rest = text[len(prefix) :]
        if text.startswith(prefix) and "#" in rest.strip("#"):
            naming = _reading(path, rest, scope, _fits_second_place)
            if naming.scope is KeyScope.FOREIGN:
                yield naming


def _fits_second_place(rest: str, tenant: str) -> bool:
    return rest.startswith(tenant + "#")


def _fits_segments(rest: str, tenant: str) -> bool:
    return rest == tenant or (rest.startswith(tenant + "#") and _KIND.fullmatch(rest, len(tenant) + 1) is not None)


def _reading(path: str, rest: str, scope: ExecutionScope, fits: Callable[[str, str], bool]) -> Naming:
    """Who owns `rest`, which starts with a tenant id."""
    others = sorted((tenant for tenant in scope.other_tenants if fits(rest, tenant)), key=len, reverse=True)
    own = fits(rest, scope.tenant)
    if own and others:
        return Naming(path, others[0], "key", KeyScope.AMBIGUOUS)
    if own:
        return Naming(path, scope.tenant, "key", KeyScope.OWN)
    if others:
        return Naming(path, others[0], "key", KeyScope.FOREIGN)
    return Naming(path, _unknown_tenant(rest), "key", KeyScope.FOREIGN)


def _unknown_tenant(rest: str) -> str:
    """The tenant id in a key of no known tenant: up to the first segment name."""
    parts = rest.split("#")
    for position in range(1, len(parts)):
        if _KIND.fullmatch("#".join(parts[position:])):
            return "#".join(parts[:position])
    return rest


def _free_form(path: str, text: str, scope: ExecutionScope) -> list[Naming]:
    """The tenants that stand in free text between separators; the longest of overlapping ids counts."""
    found: list[tuple[int, int, str]] = []
    for tenant in sorted((scope.tenant, *scope.other_tenants), key=len, reverse=True):
        for match in re.finditer(re.escape(tenant), text):
            start, end = match.span()
            whole = _at_boundary(text, start, end)
            if whole and not any(start < other_end and other_start < end for other_start, other_end, _ in found):
                found.append((start, end, tenant))
    named = [Naming(path, tenant, "key", _relation(tenant, scope)) for _, _, tenant in sorted(found)]
    return named or list(_segments(path, text, scope))


def _at_boundary(text: str, start: int, end: int) -> bool:
    before = start == 0 or _SEPARATORS.fullmatch(text[start - 1]) is not None
    return before and (end == len(text) or _SEPARATORS.fullmatch(text[end]) is not None)


def _relation(tenant: str, scope: ExecutionScope) -> KeyScope:
    return KeyScope.OWN if tenant == scope.tenant else KeyScope.FOREIGN


# Attributes, S3 keys and event details


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever DynamoDB holds
    """A value in DynamoDB JSON (`{"S": "x"}`) as plain JSON; what is no such value is given back as it is."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    kind, bare = next(iter(value.items()))
    if kind == "M" and isinstance(bare, Mapping):
        return {str(name): plain(entry) for name, entry in bare.items()}
    if kind == "L" and isinstance(bare, list):
        return [plain(entry) for entry in bare]
    if kind == "NULL":
        return None
    return bare if kind in ("S", "N", "BOOL", "SS", "NS", "B", "BS") else value


def plain_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """A whole item in plain JSON."""
    return {str(name): plain(value) for name, value in item.items()}


def tenants_named(document: Mapping[str, Any], scope: ExecutionScope) -> list[Naming]:
    """Every place of a plain document (item, event detail, tool answer) that names a tenant.

    Fields named tenantId / tenant_id, also of several (or ending so, at any depth, also in JSON inside text), `TENANT#...` in any
    text and name, S3 keys and `execution://` references, and the ids of the other test tenant as whole tokens.
    """
    return list(_walk("", document, scope, 0))


def _walk(path: str, value: Any, scope: ExecutionScope, depth: int) -> Iterator[Naming]:  # noqa: ANN401 - plain JSON
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, entry in value.items():
            below = f"{path}.{name}" if path else str(name)
            yield from _text(below, str(name), scope)  # a map may be by tenant
            if kind := _tenant_field_kind(str(name), path):
                yield from _tenant_field(below, entry, kind, scope)
            yield from _walk(below, entry, scope, depth + 1)
    elif isinstance(value, (list, tuple, set)):
        for position, entry in enumerate(value):
            yield from _walk(f"{path}[{position}]", entry, scope, depth + 1)
    elif isinstance(value, str):
        yield from _text(path, value, scope)
        if value.lstrip()[:1] in ("{", "[", '"') and len(value) <= _MAX_JSON_TEXT:
            yield from _walk(path, _json_or_none(value), scope, depth + 1)


def _tenant_field_kind(name: str, path: str) -> str:
    """`id` for a field that holds a tenant id, `perhaps` for one that may also hold a display name, "" for any other."""
    bare = _letters(name)
    if bare.endswith(("tenantid", "tenantids")) or (bare in ("id", "ids") and _letters(path).endswith(("tenant", "tenants"))):
        return "id"
    return "perhaps" if bare in ("tenant", "tenants") else ""


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _tenant_field(path: str, value: Any, kind: str, scope: ExecutionScope) -> Iterator[Naming]:  # noqa: ANN401 - plain JSON
    for entry in value if isinstance(value, (list, tuple, set)) else [value]:
        text = str(entry) if isinstance(entry, (str, int, float)) and not isinstance(entry, bool) else ""
        bare = text if text == scope.tenant or text in scope.other_tenants else text.removeprefix("TENANT#")
        if bare and (kind == "id" or bare == scope.tenant or bare in scope.other_tenants):
            yield Naming(path, bare, "field", _relation(bare, scope))


def _text(path: str, text: str, scope: ExecutionScope) -> Iterator[Naming]:
    yield from _segments(path, text, scope, in_text=True)
    for form in _PATH_FORMS:
        for match in re.finditer(re.escape(form), text):
            if rest := text[match.end() :]:
                yield _in_path(path, rest, scope)
    for match in _HIVE_FORM.finditer(text):
        yield Naming(path, match.group(1), "path", _relation(match.group(1), scope))
    for marker in sorted(scope.foreign_markers):
        if distinctive(marker) and holds_token(text, marker):
            yield Naming(path, marker, "text", KeyScope.FOREIGN)


def _in_path(path: str, rest: str, scope: ExecutionScope) -> Naming:
    """The tenant that a path starts with; tenant ids may hold slashes, so known ones are tried first."""
    others = sorted((tenant for tenant in scope.other_tenants if rest.startswith(tenant + "/")), key=len, reverse=True)
    own = rest.startswith(scope.tenant + "/") or rest == scope.tenant
    if own and others:
        return Naming(path, others[0], "path", KeyScope.AMBIGUOUS)
    tenant = scope.tenant if own else others[0] if others else rest.split("/", 1)[0]
    return Naming(path, tenant, "path", _relation(tenant, scope))


def distinctive(text: str) -> bool:
    """True if an id can be looked for in free text: at least 8 characters, and not one plain word."""
    return len(text) >= _MIN_MARKER and not text.isalpha()


def holds_token(text: str, token: str) -> bool:
    """True if `token` stands in `text` with no letter, digit, `_` or `-` on either side."""
    start = text.find(token)
    while start >= 0:
        end = start + len(token)
        if not (start > 0 and _is_word(text[start - 1])) and not (end < len(text) and _is_word(text[end])):
            return True
        start = text.find(token, start + 1)
    return False


def _is_word(character: str) -> bool:
    return character.isalnum() or character in "_-"


def _json_or_none(text: str) -> Any:  # noqa: ANN401 - plain JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
