"""Roles and tables of a CloudFormation or SAM template. Pure: text in, roles out.

Everything in the template is accounted for: a construct whose effect on a role is not evaluated either widens what the role may
do, or is named as not judged, at the role or, if there is none, at a placeholder role. So a role is never taken for narrower than
it is. A custom resource grants nothing itself: its function's role is judged like any other. But one that is given a role may add
policies to it, which is not judged.

Values are resolved in `templates/values`, loops in `templates/expansion`, policy documents in `templates/documents`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from phase5_ops.sections.isolation.roles.evidence import UNKNOWN, RolePolicies
from phase5_ops.sections.isolation.roles.managed_policies import allowing, known_policy
from phase5_ops.sections.isolation.roles.table_policies import KnownRoles, held, resource_policies, role_token
from phase5_ops.sections.isolation.roles.templates import resource_types, sam
from phase5_ops.sections.isolation.roles.templates.constructs import described, macros
from phase5_ops.sections.isolation.roles.templates.documents import PolicyReader, over
from phase5_ops.sections.isolation.roles.templates.expansion import expand, unusable
from phase5_ops.sections.isolation.roles.templates.grants import NOTHING, Grants, not_judged, perhaps, together
from phase5_ops.sections.isolation.roles.templates.patterns import ARN_PARTS, OWN_ACCOUNT, overlap, settled
from phase5_ops.sections.isolation.roles.templates.text import UnreadableTemplate, parse
from phase5_ops.sections.isolation.roles.templates.values import ABSENT, Values, function_of, parameters

__all__ = ["TemplateRoles", "UnreadableTemplate", "read_template"]

_POLICY_TOKEN = "${policy-of-template "  # noqa: S105 - no password: a text that stands for an ARN
_TEMPLATE = "(template)"


@dataclass(frozen=True, slots=True)
class TemplateRoles:
    """Roles by name (or logical id), and the names of the template's tables."""

    roles: tuple[RolePolicies, ...]
    tables: tuple[str, ...]


def read_template(text: str) -> TemplateRoles:
    """The roles of a template in YAML or JSON.

    Raises:
        UnreadableTemplate: not YAML or JSON, without a mapping of Resources, or nested without end.
    """
    try:
        return _Template(parse(text)).read()
    except RecursionError as error:
        raise UnreadableTemplate("its values are nested too deeply to be read") from error


@dataclass(slots=True)
class _Role:
    """A role under construction: the name to show, the names it may have, and its parts."""

    shown: str
    names: Sequence[str] = ()
    parts: list[Grants] = field(default_factory=list)
    boundary: Mapping[str, Any] | None = None
    has_boundary: bool = False


class _Template:
    def __init__(self, content: Mapping[str, Any]) -> None:
        expanded = expand(content)
        mappings = content.get("Mappings")
        known = mappings if isinstance(mappings, Mapping) else {}
        self._values = Values(parameters(content.get("Parameters")), known)
        self._shown = Values(parameters(content.get("Parameters"), by_default=True), known)
        self._roles: dict[str, _Role] = {}
        self._tables: dict[str, tuple[str, Sequence[str]]] = {}  # logical id -> (name here, names it may have)
        self._documents = PolicyReader(self._values)
        self._resources: dict[str, Mapping[str, Any]] = {}
        self._odd = {_TEMPLATE: list(expanded.not_judged)}
        for name, entry in expanded.resources.items():
            self._odd[name] = unusable(name, entry)
            if isinstance(entry, Mapping) and isinstance(entry.get("Type"), str):
                self._resources[name] = entry

    def read(self) -> TemplateRoles:
        self._name_tables()
        made = self._name_roles()
        for name, properties in self._of_type("AWS::IAM::Role"):
            self._roles[name].parts.append(self._role(properties))
            self._bound(self._roles[name], properties)
        for name, role in made.items():
            self._roles[role].parts.append(self._of_function(self._properties(name)))
            self._bound(self._roles[role], self._properties(name))
        self._attach_policies()
        self._read_table_policies()
        for name, odd in self._odd.items():
            self._say(made.get(name, name), *odd)
        for name, entry in self._resources.items():
            self._name_what_is_not_judged(name, entry, made.get(name, name))
        return TemplateRoles(
            tuple(self._finished(role) for role in self._roles.values()), tuple(name for name, _ in self._tables.values())
        )

    # Names

    def _of_type(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, entry in self._resources.items():
            if entry["Type"] == kind:
                yield name, self._properties(name)

    def _properties(self, name: str) -> Mapping[str, Any]:
        properties = self._resources[name].get("Properties")
        return properties if isinstance(properties, Mapping) else {}

    def _names(self, value: object, logical: str) -> list[str]:
        """The names that a property may give a resource; where it gives none, a pattern with the logical id."""
        return [
            f"{UNKNOWN}-{logical}-{UNKNOWN}" if name is ABSENT or name is None else settled(str(name))
            for name in self._values.alternatives(value)
        ]

    def _shown_name(self, value: object, logical: str) -> str:
        found = self._shown.alternatives(value)
        usable = len(found) == 1 and isinstance(found[0], str) and found[0] and "${" not in found[0] and "{{" not in found[0]
        return str(found[0]) if usable else logical

    def _name_tables(self) -> None:
        """Names the tables; one without a certain name gets its logical id, and `_widened` adds grants on its possible names."""
        for kind in resource_types.TABLES:
            for logical, properties in self._of_type(kind):
                names = self._names(properties.get("TableName"), logical)
                certain = len(names) == 1 and names[0] and "${" not in names[0]
                name = names[0] if certain else logical
                self._tables[logical] = (name, () if certain else names)
                arn = f"arn:aws:dynamodb:*:*:table/{name}"
                self._know(logical, name, {"Arn": arn, "StreamArn": f"{arn}/stream/*"})

    def _know(self, logical: str, reference: str, attributes: Mapping[str, str]) -> None:
        for values in (self._values, self._shown):
            values.references[logical] = reference
            values.attributes |= {(logical, name): value for name, value in attributes.items()}

    def _name_roles(self) -> dict[str, str]:
        """Finds all roles. Returns function -> role for those that SAM makes."""
        made = {name: f"{name}Role" for kind in sam.WITH_ROLES for name, entry in self._of_type(kind) if self._makes_role(entry)}
        for name, properties in self._of_type("AWS::IAM::Role"):
            names = self._names(properties.get("RoleName"), name)
            self._roles[name] = _Role(self._shown_name(properties.get("RoleName"), name), names)
        for name, role in made.items():
            properties = self._properties(name)
            called = properties.get("FunctionName", properties.get("Name"))
            self._roles.setdefault(role, _Role(self._shown_name(called, name), [f"{UNKNOWN}-{role}-{UNKNOWN}"]))
        for role in (*(name for name, _ in self._of_type("AWS::IAM::Role")), *made.values()):
            self._know(role, role_token(role), {"Arn": f"arn:aws:iam::{OWN_ACCOUNT}:role/{role_token(role)}"})
        for name, _ in self._of_type("AWS::IAM::ManagedPolicy"):
            token = f"{_POLICY_TOKEN}{name}}}"
            self._know(name, token, {"Arn": token, "PolicyArn": token})
        return made

    def _makes_role(self, properties: Mapping[str, Any]) -> bool:
        return any(role is ABSENT or role is None or role == "" for role in self._values.alternatives(properties.get("Role")))

    # What roles are granted

    def _role(self, properties: Mapping[str, Any]) -> Grants:
        odd = [
            f"property {name}"
            for name in properties
            if name not in resource_types.ROLE_PROPERTIES and not name.startswith("Fn::")
        ]
        inline, managed = properties.get("Policies"), properties.get("ManagedPolicyArns")
        return together(
            [
                NOTHING if inline is None else over(inline, self._inline),
                NOTHING if managed is None else over(managed, lambda entry: self._managed(entry, "ManagedPolicyArns")),
                not_judged(*odd),
            ]
        )

    def _inline(self, entry: Any) -> Grants:  # noqa: ANN401 - an entry of a role's Policies
        if not isinstance(entry, Mapping) or "PolicyDocument" not in entry:
            return not_judged(f"Policies: {described(entry)}")
        return self._documents.document(entry["PolicyDocument"], self._shown_name(entry.get("PolicyName"), "inline"))

    def _of_function(self, properties: Mapping[str, Any]) -> Grants:
        """What SAM puts into the role that it makes for a function or state machine."""
        policies, events = properties.get("Policies"), properties.get("Events")
        granted = NOTHING if policies is None else over(policies, self._of_sam)
        if events is None:
            return granted
        if not isinstance(events, Mapping) or function_of(events) is not None:
            return together([granted, not_judged(f"Events: {described(events)}")])
        return together([granted, *(self._event(str(name), entry) for name, entry in events.items())])

    def _of_sam(self, entry: Any) -> Grants:  # noqa: ANN401 - an entry of SAM's Policies
        if not isinstance(entry, Mapping) or function_of(entry) is not None:
            return self._managed(entry, "Policies")
        if "Statement" in entry:
            return self._documents.document(entry, "inline")
        return together(self._policy_template(str(name), given) for name, given in entry.items())

    def _policy_template(self, name: str, given: object) -> Grants:
        if name in sam.WITHOUT_ITEMS:
            return NOTHING
        if name not in sam.ON_ITEMS:
            return not_judged(f"SAM policy template {name}")
        actions, suffixes = sam.ON_ITEMS[name]
        tables = self._values.spread(given.get("TableName", UNKNOWN) if isinstance(given, Mapping) else UNKNOWN).union
        resources = [f"arn:aws:dynamodb:*:*:table/{_text(table)}{suffix}" for table in tables for suffix in suffixes]
        return self._documents.document(allowing([f"dynamodb:{action}" for action in actions], resources), name)

    def _event(self, name: str, entry: object) -> Grants:
        def one(part: Any) -> Grants:  # noqa: ANN401 - an event of SAM
            kinds = self._values.alternatives(part.get("Type")) if isinstance(part, Mapping) else [UNKNOWN]
            stream = self._managed(sam.STREAM_POLICY, "Events") if sam.STREAM_EVENT in kinds else NOTHING
            known = all(kind == sam.STREAM_EVENT or kind in sam.OTHER_EVENTS for kind in map(str, kinds))
            return stream if known else together([stream, not_judged(f"event {name}: {described(part)}")])

        return over(entry, one)

    def _managed(self, entry: Any, where: str) -> Grants:  # noqa: ANN401 - a reference to managed policies
        spread = self._values.spread(entry)
        parts = []
        for reference in spread.union:
            part = self._managed_policy(reference, entry, where)
            parts.append(part if reference in spread.certain else perhaps(part))
        return together(parts)

    def _managed_policy(self, reference: object, entry: object, where: str) -> Grants:
        text = _text(reference)
        if text.startswith(_POLICY_TOKEN):
            return self._own_policy(text.removeprefix(_POLICY_TOKEN).removesuffix("}"))
        if "${" in text:
            return not_judged(f"{where}: {described(entry)}")
        document = known_policy(text)
        return Grants(managed=(text,)) if document is None else self._documents.document(document, text.rsplit("/", 1)[-1])

    def _own_policy(self, name: str) -> Grants:
        """The document of a managed policy of this template."""
        found = self._documents.document(self._properties(name).get("PolicyDocument"), name)
        return perhaps(found) if "Condition" in self._resources[name] else found

    def _bound(self, role: _Role, properties: Mapping[str, Any]) -> None:
        """Sets the role's boundary, but only if it is certain and wholly judged."""
        value = properties.get("PermissionsBoundary")
        found = self._values.alternatives(value)
        role.has_boundary = value is not None
        if value is None or len(found) != 1 or found[0] is ABSENT:
            return
        grants = self._managed_policy(found[0], value, "PermissionsBoundary")
        documents = [document for _, document in grants.documents()]
        if not grants.not_judged and not grants.managed and len(documents) <= 1:
            role.boundary = self._widened_document(documents[0]) if documents else {"Statement": []}

    def _attach_policies(self) -> None:
        """Adds policies that name their roles: AWS::IAM::Policy, RolePolicy, and ManagedPolicy with Roles."""
        for kind in resource_types.ATTACHED:
            for name, properties in self._of_type(kind):
                targets = self._values.spread([properties[key] for key in ("Roles", "RoleName") if key in properties])
                if not targets.union:
                    continue
                granted = self._own_policy(name)
                for target in targets.union:
                    keys, certain = self._meant(_text(target), name)
                    part = granted if certain and target in targets.certain else perhaps(granted)
                    for key in keys:
                        self._roles[key].parts.append(part)

    def _meant(self, target: str, policy: str) -> tuple[list[str], bool]:
        """The roles that a name may mean, and whether it surely does; a role outside this template gets a placeholder."""
        own = [role for role in self._roles if role_token(role) == target]
        found = own or [role for role, entry in self._roles.items() if any(overlap(name, target) for name in entry.names)]
        if found:
            return found, bool(own) or all(list(self._roles[role].names) == [target] for role in found)
        place = f"role of {policy}" if "${" in target else f"role {target}"
        self._roles.setdefault(place, _Role(place if "${" in target else target))
        return [place], "${" not in target

    def _read_table_policies(self) -> None:
        reader = PolicyReader(self._values, of_resource=True)
        known = KnownRoles({key: role.names for key, role in self._roles.items() if role.names})
        for logical, (table, _) in self._tables.items():
            surely = "Condition" not in self._resources[logical]
            for value, of_stream, certain in resource_policies(self._properties(logical), certain=surely):
                policy = f"resource policy of {table}"
                if isinstance(value, Mapping) and "PolicyDocument" in value:
                    granted = reader.document(value["PolicyDocument"], policy)
                else:
                    granted = not_judged(f"{policy}: {described(value)}")
                self._say(f"table {table}", *granted.not_judged)
                for holder, part in held(table, granted if certain else perhaps(granted), known, of_stream=of_stream).items():
                    self._roles.setdefault(holder, _Role(_stranger(holder))).parts.append(part)

    # What is not judged

    def _say(self, holder: str, *names: str) -> None:
        """Records constructs that are not judged, at the role `holder` or a placeholder role of that name."""
        if names:
            self._roles.setdefault(holder, _Role(holder)).parts.append(not_judged(*names))

    def _name_what_is_not_judged(self, name: str, entry: Mapping[str, Any], holder: str) -> None:
        kind, properties = entry["Type"], self._properties(name)
        maker = resource_types.MAKERS.get(kind)
        service, _, rest = kind.removeprefix("AWS::").partition("::")
        heard_of = rest in (sam.WITHOUT_ROLES if service == "Serverless" else resource_types.IAM_WITHOUT_ROLES)
        unheard = service in ("Serverless", "IAM", "DynamoDB") and kind not in resource_types.JUDGED and not heard_of
        if maker or unheard or kind.endswith("::MODULE"):
            self._say(holder, f"{kind} {described(properties[maker]) if maker and maker in properties else ''}".strip())
        if connectors := entry.get("Connectors"):
            names = connectors if isinstance(connectors, Mapping) else [described(connectors)]
            self._say(holder, *(f"SAM connector {connector}" for connector in names))
        if kind.startswith(resource_types.CUSTOM):
            for given in self._roles_given(properties):
                self._say(given, f"{kind} {name}, which is given this role")
        role = resource_types.ROLE_OF.get(kind, "Role" if kind in sam.WITH_ROLES else "")
        if role in properties and self._is_elsewhere(properties[role]):
            self._say(holder, f"{role}: {described(properties[role])}")
        elif kind in resource_types.ROLE_OF and role not in properties:
            self._say(holder, *macros({key: value for key, value in properties.items() if str(key).startswith("Fn::")}))
        if kind in resource_types.JUDGED:
            self._say_macros(holder, properties, only_direct=kind in sam.WITH_ROLES)

    def _roles_given(self, properties: Mapping[str, Any]) -> list[str]:
        """The roles of the template whose name or ARN is in the properties of a custom resource."""
        given = [text for entry in properties.values() for text in _texts(self._values.alternatives(entry))]
        return [
            key
            for key, role in self._roles.items()
            if any(role_token(key) in text or text.rsplit("/", 1)[-1] in role.names for text in given)
        ]

    def _say_macros(self, holder: str, properties: Mapping[str, Any], *, only_direct: bool) -> None:
        said = [name for part in self._roles[holder].parts for name in part.not_judged] if holder in self._roles else []
        bearing = ("Policies", "Events", "Role")
        looked = {k: v for k, v in properties.items() if not only_direct or k in bearing or str(k).startswith("Fn::")}
        self._say(holder, *(name for name in dict.fromkeys(macros(looked)) if not any(name in one for one in said)))

    def _is_elsewhere(self, value: object) -> bool:
        """Whether a role may be one that is not in this template."""
        known = KnownRoles({key: role.names for key, role in self._roles.items() if role.names})
        named = [role for role in self._values.alternatives(value) if role is not ABSENT and role not in ("", None)]
        return any(
            not known.surely(role if ":" in role else f"arn:aws:iam::{OWN_ACCOUNT}:role/{role}") for role in map(str, named)
        )

    def _finished(self, role: _Role) -> RolePolicies:
        whole = together(role.parts)
        policies = tuple((policy, self._widened_document(document)) for policy, document in whole.documents())
        unknown = tuple(dict.fromkeys((*whole.not_judged, *whole.managed)))
        return RolePolicies(role.shown, policies, role.boundary, has_boundary=role.has_boundary, unknown=unknown)

    def _widened_document(self, document: Mapping[str, Any]) -> dict[str, Any]:
        return {**document, "Statement": [self._widened(one) for one in document["Statement"]]}

    def _widened(self, statement: Mapping[str, Any]) -> Mapping[str, Any]:
        """The statement; an Allow that fits a possible name of a table also gets the name that the table has here."""
        if statement["Effect"] != "Allow" or "Resource" not in statement:
            return statement
        added = [
            f"arn:aws:dynamodb:*:*:table/{table}{suffix}"
            for table, names in self._tables.values()
            for suffix in ("", "/index/*", "/stream/*")
            for name in names
            if any(_may_be(str(pattern), f"table/{name}{suffix}") for pattern in statement["Resource"])
        ]
        return {**statement, "Resource": [*statement["Resource"], *dict.fromkeys(added)]} if added else statement


def _may_be(pattern: str, resource: str) -> bool:
    parts = pattern.split(":", ARN_PARTS - 1)
    return len(parts) == ARN_PARTS and overlap(parts[2], "dynamodb") and overlap(parts[-1], resource)


def _stranger(principal: str) -> str:
    """The name to show for a principal that is no role of the template."""
    text = settled(principal)
    return text if UNKNOWN not in text else f"principal that is not known ({text.replace(UNKNOWN, '?')})"


def _texts(value: object) -> Iterator[str]:
    """Every text at any depth of a resolved value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from _texts(entry)
    elif isinstance(value, str):
        yield value


def _text(value: object) -> str:
    return settled(value) if isinstance(value, str) else UNKNOWN
