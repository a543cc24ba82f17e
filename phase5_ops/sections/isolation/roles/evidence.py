"""Evidence of the check iam_is_tenant_scoped: can a function's role reach another tenant's items. Pure, offline.

Each role is tested, as IAM would decide, with requests on behalf of tenant `acme`: for another tenant's partition key, for the
keys that its policies and its boundary name or let in by a wildcard, in an Allow or a Deny, for a key of `acme-eu` (which `acme*`
lets in), for a batch that mixes both, and without any key, as in Scan; also on behalf of a caller without a tenant tag,
for whom variables have their defaults. `dynamodb:LeadingKeys` holds the partition keys of a request; it is absent for Scan, and
`ForAllValues` is true for an absent key. What cannot be known offline (source network, tags) is assumed to favour the caller: an
Allow applies unless it surely does not, a Deny only if it surely does. Service control and session policies are not read. One
file, since every request is made and judged by the same few rules.

Sources: IAM's policy evaluation logic and condition operators; DynamoDB's table of condition keys by action.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from phase5_ops.aws.resource_policy import fits
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable, NoFacts
from phase5_ops.policy import IamException
from phase5_ops.sections.isolation.roles.leading_keys import (
    LEADING_KEYS,
    OTHER,
    OWN,
    Caller,
    NoValue,
    WildcardKeys,
    has_defaults,
    is_tenant_tag,
    named_keys,
    resolved,
    wildcard_keys,
)
from phase5_ops.sections.isolation.roles.table_parts import INDEX, STREAM, parts_named

LONGER = f"{OWN}-eu"

#: Actions that reach items, by whether IAM can bind them to a key. Like Scan, GetRecords, exports, restores into another table,
#: streaming to Kinesis and what gives somebody else the table carry no key at all.
KEYED_ACTIONS = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "PartiQLSelect",
    "PartiQLInsert",
    "PartiQLUpdate",
    "PartiQLDelete",
)
KEYLESS_ACTIONS = (
    "Scan",
    "PartiQLSelect",
    "GetRecords",
    "ExportTableToPointInTime",
    "RestoreTableToPointInTime",
    "RestoreTableFromBackup",
    "EnableKinesisStreamingDestination",
    "PutResourcePolicy",
)
#: Actions by which a role gets around its policies: it writes or takes off policies and tags of roles, its own among them, or
#: takes a role that nobody named.
ROLE_CHANGES = (
    "iam:AttachRolePolicy",
    "iam:CreatePolicyVersion",
    "iam:DeleteRolePermissionsBoundary",
    "iam:DeleteRolePolicy",
    "iam:DetachRolePolicy",
    "iam:PutRolePermissionsBoundary",
    "iam:PutRolePolicy",
    "iam:SetDefaultPolicyVersion",
    "iam:TagRole",
    "iam:UpdateAssumeRolePolicy",
)
ASSUME_ROLE = "sts:AssumeRole"
_ON_INDEXES = frozenset({"Query", "Scan", "PartiQLSelect"})
_SEVERAL_KEYS = frozenset({"BatchGetItem", "BatchWriteItem"})

_VARIABLES_VERSION = "2012-10-17"

#: Stands in a document for a value that is not known, e.g. of a template's parameter without default.
UNKNOWN = "${unknown}"


@dataclass(frozen=True, slots=True)
class RolePolicies:
    """A role with everything that grants or limits it: inline and attached policies, the permissions boundary.

    `policies` are (name, document); `unknown` names attached policies whose document could not be read, and constructs of a
    template whose effect is not evaluated. `answers` has what conditions of the documents came to, which tables have in common.
    """

    role: str
    policies: tuple[tuple[str, Mapping[str, Any]], ...]
    boundary: Mapping[str, Any] | None = None
    has_boundary: bool = False  # True with `boundary` None: there is one, but its document could not be read
    unknown: tuple[str, ...] = ()
    answers: "dict[tuple[object, ...], Truth]" = field(init=False, default_factory=dict, compare=False, repr=False)


# Deciding one request

Truth = bool | None  # None: cannot be known offline


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One request: action (DynamoDB's without its prefix), the resource's ARN, the context keys in lower case, and who asks."""

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]]
    caller: Caller = Caller.TAGGED


@dataclass(frozen=True, slots=True)
class _StatementsAbout:
    """What of a role's policies is about an action on a resource, whatever the context: (policy, statement, its document)."""

    statements: tuple[tuple[str, Mapping[str, Any], Mapping[str, Any]], ...]
    answers: dict[tuple[object, ...], Truth]
    boundary: "_StatementsAbout | None" = None

    @classmethod
    def of(cls, role: RolePolicies, action: str, resource: str) -> Self:
        def about(policies: Iterable[tuple[str, Mapping[str, Any]]], boundary: Self | None = None) -> Self:
            found = tuple(
                (name, statement, document)
                for name, document in policies
                for statement in statements_of(document)
                if _is_about(statement, action, resource)
            )
            return cls(found, role.answers, boundary)

        return about(role.policies, None if role.boundary is None else about((("boundary", role.boundary),)))

    def may_grant(self) -> bool:
        """Whether any context could be let through."""
        return any(_effect(statement) == "allow" for _, statement, _ in self.statements)

    def allows(self, request: AccessRequest) -> str | None:
        """See `allowed`; the request must be one of this action and resource."""
        granting = None
        for name, statement, document in self.statements:
            truth = self._holds(statement.get("Condition"), request, _has_variables(document))
            if _effect(statement) == "deny" and truth is True:
                return None
            if _effect(statement) == "allow" and truth is not False:
                granting = granting or name
        if granting is None or self.boundary is None:
            return granting
        return granting if self.boundary.allows(request) else None

    def _holds(self, block: object, request: AccessRequest, variables: bool) -> Truth:
        """What a Condition block of the role's documents comes to, which only the context and the caller decide."""
        if block is None:
            return True
        known = (id(block), variables, request.caller, *request.context.items())
        if known not in self.answers:
            self.answers[known] = _conditions(block, request, variables)
        return self.answers[known]


def allowed(role: RolePolicies, request: AccessRequest) -> str | None:
    """The name of the policy that lets the request through, or None if it is refused.

    What a boundary does not allow is refused. A boundary whose document is not known is taken to allow everything.
    """
    return _StatementsAbout.of(role, request.action, request.resource).allows(request)


def statements_of(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The statements of a policy document, whether one or a list."""
    found = document.get("Statement") if isinstance(document, Mapping) else None
    return [entry for entry in _listed(found) if isinstance(entry, Mapping)]


def _effect(statement: Mapping[str, Any]) -> str:
    effect = str(statement.get("Effect", "")).lower()
    return "allow" if effect == UNKNOWN else effect


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]


def _is_about(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    allow = _effect(statement) == "allow"
    return _about_action(statement, action, allow) and _about_resource(statement, resource, allow)


def _has_variables(document: Mapping[str, Any]) -> bool:
    return str(document.get("Version", "")) == _VARIABLES_VERSION


def _about_action(statement: Mapping[str, Any], action: str, allow: bool) -> bool:
    name = (action if ":" in action else f"dynamodb:{action}").lower()
    excluded = "NotAction" in statement
    patterns = [str(pattern).lower() for pattern in _listed(statement.get("NotAction" if excluded else "Action"))]
    may_be_unknown = allow is not excluded  # an unknown pattern matches where that favours the caller
    found = any(fits(pattern, name) or (UNKNOWN in pattern and may_be_unknown) for pattern in patterns)
    return found is not excluded


def _about_resource(statement: Mapping[str, Any], resource: str, allow: bool) -> bool:
    """An Allow reaches a resource if it may, a Deny only if it surely does; with NotResource the other way round."""
    if "NotResource" in statement:
        return not any(_arn_fits(str(p), resource, lenient=not allow) for p in _listed(statement["NotResource"]))
    return any(_arn_fits(str(pattern), resource, lenient=allow) for pattern in _listed(statement.get("Resource")))


def _arn_fits(pattern: str, arn: str, *, lenient: bool) -> bool:
    """Whether a resource pattern covers an ARN; leniently, region and account are not compared and variables may be anything."""
    if "${" in pattern:
        if not lenient:
            return False
        pattern = re.sub(r"\$\{[^}]*\}", "*", pattern)
    if fits(pattern, arn):
        return True
    parts = pattern.split(":", 5)
    asked = arn.split(":", 5)
    return lenient and len(parts) == len(asked) and fits(parts[2], asked[2]) and fits(parts[5], asked[5])


# Conditions


def _conditions(block: object, request: AccessRequest, variables: bool) -> Truth:
    """All operators and keys of a Condition block together (AND)."""
    if not isinstance(block, Mapping):
        return None
    return _all(
        _condition(str(operator), str(key), [_text(value) for value in _listed(values)], request, variables)
        for operator, keys in block.items()
        for key, values in (keys.items() if isinstance(keys, Mapping) else [("", None)])
    )


def _all(truths: Iterable[Truth]) -> Truth:
    unknown = False
    for truth in truths:
        if truth is False:
            return False
        unknown = unknown or truth is None
    return None if unknown else True


def _any(truths: Iterable[Truth]) -> Truth:
    unknown = False
    for truth in truths:
        if truth:
            return True
        unknown = unknown or truth is None
    return None if unknown else False


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


#: Context keys whose presence is known for every request; all others cannot be known offline.
_KNOWN_KEYS = frozenset({LEADING_KEYS, "dynamodb:fulltablescan"})


def _condition(operator: str, key: str, values: Sequence[str], request: AccessRequest, variables: bool) -> Truth:
    """One operator on one key. Of the tenant tag it is only known that an untagged caller lacks it."""
    name = key.lower()
    if name not in _KNOWN_KEYS and not (request.caller is Caller.UNTAGGED and is_tenant_tag(name)):
        return None
    asked = request.context.get(name, ())
    quantifier, _, bare = operator.rpartition(":")
    bare = bare.lower()
    if bare == "null":
        wanted_absent = [value.lower() == "true" for value in values]
        return any(wanted is (not asked) for wanted in wanted_absent)
    if_exists = bare.endswith("ifexists")
    bare = bare.removesuffix("ifexists")
    if not asked:
        negated = bare.startswith(("stringnot", "arnnot"))
        return True if if_exists or quantifier.lower() == "forallvalues" else negated and not quantifier
    truths = [_fits(bare, value, values, request.caller if variables else None) for value in asked]
    if quantifier.lower() == "forallvalues":
        return _all(truths)
    if quantifier.lower() == "foranyvalue":
        return _any(truths)
    return truths[0] if len(truths) == 1 else None  # IAM does not define a single-valued operator on several values


def _fits(operator: str, value: str, wanted: Sequence[str], caller: Caller | None) -> Truth:
    """One value of the request against the values of the policy: any of them, or for negated operators none of them.

    `caller` is the caller whose values variables get; None where the policy's version has no variables. For a negated operator,
    a variable without a value gives an unknown result.
    """
    negated = operator.startswith("stringnot")
    positive = operator.replace("stringnot", "string", 1)
    truths: list[Truth] = []
    for pattern in wanted:
        try:
            truths.append(_matches(positive, value, pattern, caller))
        except NoValue:
            truths.append(None if negated else False)
    if None in truths and True not in truths:
        return None
    return (True not in truths) if negated else (True in truths)


def _matches(operator: str, value: str, pattern: str, caller: Caller | None) -> Truth:
    wanted = resolved(pattern, caller, literal_stars=operator != "stringlike") if caller is not None else pattern
    if wanted is None or UNKNOWN in pattern:
        return None
    if operator in {"stringequals", "bool"}:
        return value == wanted
    if operator == "stringequalsignorecase":
        return value.casefold() == wanted.casefold()
    if operator == "stringlike":
        return fits(wanted, value)
    return None


# Asking a role

Code = Literal["iam_access_unscoped", "iam_keyless_access", "iam_prefix_pattern", "iam_batch_unbound"]
_AROUND = "iam_way_around"


@dataclass(frozen=True, slots=True)
class _KeysToAsk:
    """The keys to ask for because of what a role's policies and boundary say."""

    literally: Mapping[Caller, Sequence[str]]
    by_wildcards: WildcardKeys


_FOREIGN = tuple(form.format(OTHER) for form in ("TENANT#{}", "TENANT#{}#ACCOUNT#1", "{}", "ACCOUNT#{}#1", "SIGNAL#{}#1"))
_PREFIXED = tuple(
    form.format(name) for name in (LONGER, OWN.upper()) for form in ("TENANT#{}", "TENANT#{}#ACCOUNT#1", "{}", "ACCOUNT#{}#1")
)


@dataclass(frozen=True, slots=True)
class _Question:
    """A context in which a role requests an action, and the finding code and reason if the request is allowed."""

    code: Code
    context: Mapping[str, tuple[str, ...]]
    reason: str
    caller: Caller = Caller.TAGGED


def _asked(action: str, named: _KeysToAsk) -> Iterator[_Question]:
    """The questions for an action; `named` are the keys that the role's policies and boundary name or let in."""
    scan = {"dynamodb:fulltablescan": ("false",)} if action == "PartiQLSelect" else {}

    def question(code: Code, *keys: str, caller: Caller = Caller.TAGGED, reason: str = "") -> _Question:
        return _Question(code, {LEADING_KEYS: keys, **scan}, reason or _REASONS[code], caller)

    if action in KEYLESS_ACTIONS:
        context = {"dynamodb:fulltablescan": ("true",)} if action == "PartiQLSelect" else {}
        yield _Question("iam_keyless_access", context, _REASONS["iam_keyless_access"])
    if action not in KEYED_ACTIONS:
        return
    for key in _FOREIGN:
        yield question("iam_access_unscoped", key)
    for key in _PREFIXED:
        yield question("iam_prefix_pattern", key)
    if action in _SEVERAL_KEYS:
        for own, foreign in ((f"TENANT#{OWN}", f"TENANT#{OTHER}"), (f"TENANT#{OWN}#ACCOUNT#1", f"TENANT#{OTHER}#ACCOUNT#1")):
            yield question("iam_batch_unbound", own, foreign)
    for key in named.literally[Caller.TAGGED]:
        yield question("iam_access_unscoped", key, reason=f"allows the key {key} by name, whichever tenant the caller is of")
    for key in named.by_wildcards.without_tag:
        yield question(
            "iam_access_unscoped", key, reason=f"allows keys such as {key} by a wildcard, whichever tenant the caller is of"
        )
    for key in named.by_wildcards.around_tag:
        yield question("iam_prefix_pattern", key, reason=f"lets {key} in for a caller of {OWN}: a wildcard beside the tenant")
    for key in named.literally[Caller.UNTAGGED]:
        reason = f"allows the key {key} to a caller without a tenant tag"
        yield question("iam_access_unscoped", key, caller=Caller.UNTAGGED, reason=reason)


@dataclass(frozen=True, slots=True)
class RoleAccess:
    """One row of `role_access`: what a role may do on a table beyond its caller's tenant, or that it may do nothing beyond it."""

    role: Annotated[str, "name of the role, or of the table whose policy it is"]
    table: Annotated[str, '"" where the row is about the role as a whole']
    result: Annotated[
        str,
        "bound: nothing beyond the tenant; unknown: a policy could not be read; unused: an exception without use",
        Column(among=("bound", "violation", "excepted", "unknown", "unused")),
    ]
    code: Annotated[str, "finding code"]
    actions: Annotated[tuple[str, ...], "of this row, in the order of the API's families"] = ()
    policy: Annotated[str, "that lets them through"] = ""
    reason: Annotated[str, "in words"] = ""
    justification: Annotated[str, "of the exception that covers the row"] = ""


ROLE_ACCESS = DeclaredTable(RoleAccess, NoFacts)
Roles = GatheredTable[RoleAccess, NoFacts]

_REASONS: Mapping[str, str] = {
    "iam_access_unscoped": f"allows the key of another tenant ({_FOREIGN[0]} for a caller of {OWN})",
    "iam_keyless_access": "allows a request that carries no key: LeadingKeys is absent, and cannot bind it",
    "iam_prefix_pattern": f"lets {LONGER} or {OWN.upper()} in for a caller of {OWN}: a prefix pattern, or letters of either case",
    "iam_batch_unbound": "allows a batch that mixes own and foreign keys: ForAnyValue asks for one fitting key only",
}


@dataclass(frozen=True, slots=True)
class Universe:
    """The tables that roles are tested on, and how their ARNs begin."""

    tables: Sequence[str]
    region: str = "us-east-1"
    account: str = "000000000000"
    partition: str = "aws"

    def resources(self, table: str, action: str, role: RolePolicies) -> list[str]:
        """The ARNs on which to test an action: the table, its indexes or streams; also those that the role names."""
        parts = parts_named(_statements(role))
        base = f"arn:{self.partition}:dynamodb:{self.region}:{self.account}:table/{table}"
        if action == "GetRecords":
            return [f"{base}/stream/{name}" for name in parts[STREAM]]
        if action == "RestoreTableFromBackup":
            return [base, f"{base}/backup/any-backup"]
        return [base, *(f"{base}/index/{name}" for name in parts[INDEX])] if action in _ON_INDEXES else [base]


def role_access(roles: Iterable[RolePolicies], universe: Universe, exceptions: Sequence[IamException] = ()) -> list[RoleAccess]:
    """The rows of these roles: one per table and finding, one `bound` per table that the role reaches for its tenant only.

    Exceptions that cover nothing get a row as well, so that no exception stays after its reason is gone.
    """
    rows: list[RoleAccess] = []
    used: set[int] = set()
    for role in sorted(roles, key=lambda entry: entry.role):
        rows += [
            RoleAccess(role.role, "", "unknown", "iam_policy_not_judged", policy=name, reason="what it grants is not known")
            for name in role.unknown
        ]
        beyond = [row for table in universe.tables for row in _table_rows(role, table, universe, exceptions, used)]
        rows += beyond
        if not any(row.code == "iam_access_unscoped" for row in beyond):  # one that has every item needs no way around
            rows += _ways_around(role, universe, exceptions, used)
    unused = [entry for position, entry in enumerate(exceptions) if position not in used]
    rows += [
        RoleAccess(entry.role, entry.table, "unused", "iam_exception_unused", entry.actions, "", "", entry.justification)
        for entry in unused
    ]
    return rows


def _table_rows(
    role: RolePolicies, table: str, universe: Universe, exceptions: Sequence[IamException], used: set[int]
) -> Iterator[RoleAccess]:
    found: dict[tuple[str, str, str, str, str], list[str]] = {}
    named = _named(role)
    for action in dict.fromkeys((*KEYED_ACTIONS, *KEYLESS_ACTIONS)):
        for code, (policy, reason) in _beyond(role, table, action, universe, named).items():
            justification = _excepted(role.role, table, action, exceptions, used)
            result = "excepted" if justification else "violation"
            found.setdefault((result, code, policy, reason, justification), []).append(action)
    for (result, code, policy, reason, justification), actions in found.items():
        yield RoleAccess(role.role, table, result, code, tuple(actions), policy, reason, justification)
    if not found and _reaches_own(role, table, universe):
        yield RoleAccess(role.role, table, "bound", "", reason="every access is bound to the caller's tenant")


def _ways_around(
    role: RolePolicies, universe: Universe, exceptions: Sequence[IamException], used: set[int]
) -> Iterator[RoleAccess]:
    """One row for each policy that lets the role get around what binds it, whichever the table."""
    roles = f"arn:{universe.partition}:iam::{universe.account}:role/"
    policies = f"arn:{universe.partition}:iam::{universe.account}:policy/any-other"
    asked: list[tuple[str, list[str]]] = [(ASSUME_ROLE, [f"{roles}any-other"])]
    asked += [(action, [f"{roles}{role.role}", f"{roles}any-other", policies]) for action in ROLE_CHANGES]
    found: dict[tuple[str, str], list[str]] = {}
    for action, resources in asked:
        policy = next((name for resource in resources if (name := allowed(role, AccessRequest(action, resource, {})))), None)
        if policy is not None:
            found.setdefault((policy, _excepted(role.role, "", action, exceptions, used)), []).append(action)
    for (policy, justification), actions in found.items():
        result = "excepted" if justification else "violation"
        reason = "may change what binds it, or take a role that is not bound"
        yield RoleAccess(role.role, "", result, _AROUND, tuple(actions), policy, reason, justification)


def _beyond(role: RolePolicies, table: str, action: str, universe: Universe, named: _KeysToAsk) -> dict[str, tuple[str, str]]:
    """Code -> (policy, reason) of an action that goes beyond the tenant; beside `iam_access_unscoped` no lesser key code."""
    found: dict[str, tuple[str, str]] = {}
    for resource in universe.resources(table, action, role):
        about = _StatementsAbout.of(role, action, resource)
        for each in _asked(action, named) if about.may_grant() else ():
            if each.code in found or ("iam_access_unscoped" in found and each.code != "iam_keyless_access"):
                continue
            if policy := about.allows(AccessRequest(action, resource, each.context, each.caller)):
                found[each.code] = (policy, each.reason)
    if "iam_access_unscoped" in found:  # found on an index after a lesser code on the table
        found = {code: found[code] for code in ("iam_access_unscoped", "iam_keyless_access") if code in found}
    return found


def _statements(role: RolePolicies) -> list[Mapping[str, Any]]:
    """Every statement that grants or limits: what a Deny spares, or a boundary allows, may be all that lets a key through."""
    documents = [document for _, document in role.policies] + ([] if role.boundary is None else [role.boundary])
    return [each for document in documents for each in statements_of(document)]


def _named(role: RolePolicies) -> _KeysToAsk:
    """The keys of other tenants to ask for by name; for an untagged caller only where variables have defaults."""
    statements = _statements(role)
    keys = named_keys(statements)
    untagged = (*keys[Caller.UNTAGGED], *_FOREIGN) if has_defaults(statements) else ()
    return _KeysToAsk({**keys, Caller.UNTAGGED: untagged}, wildcard_keys(statements))


def _reaches_own(role: RolePolicies, table: str, universe: Universe) -> bool:
    return any(
        allowed(role, AccessRequest(action, resource, {"dynamodb:leadingkeys": (key,)}))
        for action in KEYED_ACTIONS
        for resource in universe.resources(table, action, role)
        for key in (f"TENANT#{OWN}", OWN)
    )


def _excepted(role: str, table: str, action: str, exceptions: Sequence[IamException], used: set[int]) -> str:
    """The justification of the exception that covers this access, or ""."""
    for position, entry in enumerate(exceptions):
        named = fits(entry.role, role) and fits(entry.table, table)
        if named and any(fits(pattern, action, ignore_case=True) for pattern in entry.actions):
            used.add(position)
            return entry.justification
    return ""


def tables_within(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The tables that hold tenants' data, by the setting iam_tables."""
    return sorted({name for name in names if any(fits(pattern, name) for pattern in patterns)})


def roles_within(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The roles of the platform's functions, by the setting iam_roles."""
    return sorted({name for name in names if any(fits(pattern, name, ignore_case=True) for pattern in patterns)})
