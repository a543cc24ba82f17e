"""Roles and tables of a CloudFormation or SAM template, as far as it says them itself. Pure: text in, roles out.

Intrinsic functions are resolved where the template holds the answer (Ref and GetAtt to its own tables and roles, Sub, Join,
parameters with a default) and become `UNKNOWN` where it does not: what an Allow leaves open may be anything, what a Deny leaves
open may be nothing, so a role is never taken for narrower than it is. Both branches of a condition count.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from phase5_ops.isolation.iam_scope import UNKNOWN, RolePolicies
from phase5_ops.written_twice import DistinctKeysLoader, WrittenTwice, distinct_json, distinct_yaml

_TABLE_TYPES = ("AWS::DynamoDB::Table", "AWS::DynamoDB::GlobalTable", "AWS::Serverless::SimpleTable")
#: The own region and account, whatever they are.
_PSEUDO = {"AWS::Region": "*", "AWS::AccountId": "*", "AWS::Partition": "aws"}

#: Policies of AWS that grant DynamoDB, by the last part of their ARN or their name; any other AWS-managed one grants none of it.
_MANAGED_DYNAMODB = {
    "AmazonDynamoDBFullAccess": ("dynamodb:*",),
    "AmazonDynamoDBFullAccess_v2": ("dynamodb:*",),
    "AmazonDynamoDBFullAccesswithDataPipeline": ("dynamodb:*",),
    "AdministratorAccess": ("*",),
    "PowerUserAccess": ("*",),
    "AmazonDynamoDBReadOnlyAccess": (
        "dynamodb:BatchGetItem",
        "dynamodb:Get*",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:PartiQLSelect",
    ),
    "ReadOnlyAccess": ("dynamodb:BatchGet*", "dynamodb:Get*", "dynamodb:Query", "dynamodb:Scan", "dynamodb:PartiQLSelect"),
    "AWSLambdaDynamoDBExecutionRole": ("dynamodb:GetRecords",),
    "AWSLambdaInvocation-DynamoDB": ("dynamodb:GetRecords",),
}
#: SAM's policy templates that grant DynamoDB items, without condition, on the table and its indexes.
_SAM_TEMPLATES = {
    "DynamoDBCrudPolicy": (
        "GetItem",
        "DeleteItem",
        "PutItem",
        "Scan",
        "Query",
        "UpdateItem",
        "BatchWriteItem",
        "BatchGetItem",
        "ConditionCheckItem",
    ),
    "DynamoDBReadPolicy": ("GetItem", "Scan", "Query", "BatchGetItem"),
    "DynamoDBWritePolicy": ("PutItem", "UpdateItem", "BatchWriteItem"),
    "DynamoDBStreamReadPolicy": ("GetRecords",),
    "DynamoDBReconfigurePolicy": (),
}


class UnreadableTemplate(Exception):
    """The text is no CloudFormation template."""


@dataclass(frozen=True, slots=True)
class TemplateRoles:
    """Roles by name (or logical id), and the names of the template's tables."""

    roles: tuple[RolePolicies, ...]
    tables: tuple[str, ...]


def managed_policy(arn: str) -> dict[str, Any] | None:
    """The document of a policy of AWS, as far as DynamoDB goes; None for one that is not AWS's own."""
    if ":iam::aws:policy/" not in arn and arn not in _MANAGED_DYNAMODB:
        return None
    actions = _MANAGED_DYNAMODB.get(arn.rsplit("/", 1)[-1])
    return document(actions, ["*"]) if actions else {"Statement": []}


def document(actions: Sequence[str], resources: Sequence[str]) -> dict[str, Any]:
    """A policy document that allows `actions` on `resources`."""
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}]}


def read_template(text: str) -> TemplateRoles:
    """The roles of a template in YAML or JSON.

    Raises:
        UnreadableTemplate: not YAML or JSON, or without a mapping of Resources.
    """
    try:
        content = distinct_json(text) if text.lstrip()[:1] == "{" else distinct_yaml(text, _Loader)
    except WrittenTwice as error:
        raise UnreadableTemplate(str(error)) from error
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise UnreadableTemplate(f"neither JSON nor YAML: {str(error)[:200]}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("Resources"), Mapping):
        raise UnreadableTemplate("no mapping of Resources")
    return _Template(content).read()


class _Loader(DistinctKeysLoader):
    """YAML with CloudFormation's short forms (`!Sub`), as the long ones (`Fn::Sub`)."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


class _Template:
    def __init__(self, content: Mapping[str, Any]) -> None:
        self._resources: dict[str, Mapping[str, Any]] = {
            str(name): entry for name, entry in content["Resources"].items() if isinstance(entry, Mapping)
        }
        parameters = content.get("Parameters") if isinstance(content.get("Parameters"), Mapping) else {}
        self._parameters = {
            str(name): str(entry["Default"])
            for name, entry in (parameters or {}).items()
            if isinstance(entry, Mapping) and "Default" in entry
        }
        self._globals = content.get("Globals") if isinstance(content.get("Globals"), Mapping) else {}

    def read(self) -> TemplateRoles:
        attached = self._policies_attached_to_roles()
        roles = [self._role(name, entry, attached.get(name, [])) for name, entry in self._of_type("AWS::IAM::Role")]
        roles += [role for name, entry in self._of_type("AWS::Serverless::Function") if (role := self._function(name, entry))]
        tables = [self._table_name(name) for kind in _TABLE_TYPES for name, _ in self._of_type(kind)]
        return TemplateRoles(tuple(roles), tuple(tables))

    def _of_type(self, kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for name, entry in self._resources.items():
            if entry.get("Type") == kind:
                properties = entry.get("Properties")
                yield name, properties if isinstance(properties, Mapping) else {}

    def _role(self, name: str, properties: Mapping[str, Any], attached: list[tuple[str, Mapping[str, Any]]]) -> RolePolicies:
        policies = list(attached)
        for entry in self._list(properties.get("Policies")):
            if isinstance(entry, Mapping):
                policies.append(
                    (str(self._value(entry.get("PolicyName")) or "inline"), self._document(entry.get("PolicyDocument")))
                )
        known, unknown = self._managed(properties.get("ManagedPolicyArns"))
        role_name = str(self._value(properties.get("RoleName")) or name)
        boundary = properties.get("PermissionsBoundary")
        return RolePolicies(
            name if UNKNOWN in role_name else role_name,
            tuple(policies + known),
            self._referenced(boundary) if boundary else None,
            has_boundary=boundary is not None,
            unknown=tuple(unknown),
        )

    def _function(self, name: str, properties: Mapping[str, Any]) -> RolePolicies | None:
        """The role that SAM makes for a function; None where the function names a role of its own."""
        if properties.get("Role"):
            return None
        policies: list[tuple[str, Mapping[str, Any]]] = []
        unknown: list[str] = []
        for entry in self._list(properties.get("Policies")):
            kept, missing = self._function_policy(entry)
            policies += kept
            unknown += missing
        function = str(self._value(properties.get("FunctionName")) or name)
        return RolePolicies(name if UNKNOWN in function else function, tuple(policies), unknown=tuple(unknown))

    def _function_policy(self, entry: Any) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:  # noqa: ANN401
        if not isinstance(entry, Mapping) or _is_intrinsic(entry):
            return self._managed([entry])
        if "Statement" in entry:
            return [("inline", self._document(entry))], []
        found: list[tuple[str, Mapping[str, Any]]] = []
        for name, parameters in entry.items():
            actions = [f"dynamodb:{action}" for action in _SAM_TEMPLATES.get(str(name), ())]
            if actions:
                table = self._value((parameters or {}).get("TableName")) if isinstance(parameters, Mapping) else None
                base = f"arn:aws:dynamodb:*:*:table/{table or UNKNOWN}"
                found.append((str(name), document(actions, [base, f"{base}/index/*", f"{base}/stream/*"])))
        return found, []

    def _policies_attached_to_roles(self) -> dict[str, list[tuple[str, Mapping[str, Any]]]]:
        """Policies that stand beside their roles: AWS::IAM::Policy, RolePolicy, and ManagedPolicy with Roles."""
        attached: dict[str, list[tuple[str, Mapping[str, Any]]]] = {}
        for kind in ("AWS::IAM::Policy", "AWS::IAM::ManagedPolicy", "AWS::IAM::RolePolicy"):
            for name, properties in self._of_type(kind):
                targets = self._list(properties.get("Roles")) or self._list(properties.get("RoleName"))
                for target in targets:
                    for role in self._role_ids(target):
                        attached.setdefault(role, []).append((name, self._document(properties.get("PolicyDocument"))))
        return attached

    def _role_ids(self, target: Any) -> list[str]:  # noqa: ANN401
        """The logical ids of the roles that a reference means; every role where that is not known."""
        if isinstance(target, Mapping) and isinstance(target.get("Ref"), str) and target["Ref"] in self._resources:
            return [target["Ref"]]
        name = self._value(target)
        every = list(self._of_type("AWS::IAM::Role"))
        named = [role for role, properties in every if name in (role, self._value(properties.get("RoleName")))]
        return named or [role for role, _ in every]

    def _managed(self, arns: Any) -> tuple[list[tuple[str, Mapping[str, Any]]], list[str]]:  # noqa: ANN401
        known: list[tuple[str, Mapping[str, Any]]] = []
        unknown: list[str] = []
        for arn in self._list(arns):
            found = self._referenced(arn)
            name = str(self._value(arn))
            if found is not None:
                known.append((name.rsplit("/", 1)[-1], found))
            else:
                unknown.append(name)
        return known, unknown

    def _referenced(self, reference: Any) -> Mapping[str, Any] | None:  # noqa: ANN401
        """The document of a policy of this template or of AWS; None where neither has it."""
        logical = reference.get("Ref") if isinstance(reference, Mapping) else None
        if isinstance(logical, str) and self._resources.get(logical, {}).get("Type") == "AWS::IAM::ManagedPolicy":
            return self._document((self._resources[logical].get("Properties") or {}).get("PolicyDocument"))
        arn = self._value(reference)
        return managed_policy(arn) if isinstance(arn, str) else None

    def _document(self, content: Any) -> dict[str, Any]:  # noqa: ANN401
        """A policy document without intrinsic functions; conditions keep IAM's own variables."""
        plain = self._value(content)
        if not isinstance(plain, Mapping):
            return document(["*"], ["*"]) if plain == UNKNOWN else {"Statement": []}
        return {**plain, "Statement": [entry for entry in self._list(plain.get("Statement")) if isinstance(entry, Mapping)]}

    def _list(self, value: Any) -> list[Any]:  # noqa: ANN401
        """A list, with the branches of Fn::If inside it as entries of their own."""
        entries = value if isinstance(value, list) else [] if value is None else [value]
        found: list[Any] = []
        for entry in entries:
            if isinstance(entry, Mapping) and isinstance(branches := entry.get("Fn::If"), list):
                found += [part for branch in branches[1:] for part in self._list(branch)]
            elif not (isinstance(entry, Mapping) and entry.get("Ref") == "AWS::NoValue"):
                found.append(entry)
        return found

    def _value(self, value: Any) -> Any:  # noqa: ANN401
        """The value with its intrinsic functions resolved; UNKNOWN for what the template does not say."""
        if isinstance(value, list):
            return [self._value(entry) for entry in self._list(value)]
        if not isinstance(value, Mapping):
            return value
        if not _is_intrinsic(value):
            return {str(name): self._value(entry) for name, entry in value.items()}
        ((name, argument),) = value.items()
        if name == "Ref":
            return self._ref(str(argument))
        if name == "Fn::GetAtt":
            return self._attribute(argument)
        if name == "Fn::Sub":
            return self._sub(argument)
        if name == "Fn::Join" and isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], list):  # noqa: PLR2004
            return str(argument[0]).join(str(self._value(entry)) for entry in argument[1])
        if name == "Fn::If" and isinstance(argument, list):
            branches = [self._value(entry) for entry in self._list(value)]
            return branches[0] if len(branches) == 1 else branches
        return UNKNOWN

    def _ref(self, name: str) -> str:
        if name in _PSEUDO:
            return _PSEUDO[name]
        kind = self._resources.get(name, {}).get("Type")
        if kind in _TABLE_TYPES:
            return self._table_name(name)
        return self._parameters.get(name, UNKNOWN)

    def _attribute(self, argument: Any) -> str:  # noqa: ANN401
        parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
        name, attribute = str(parts[0]), ".".join(str(part) for part in parts[1:])
        if self._resources.get(name, {}).get("Type") in _TABLE_TYPES:
            base = f"arn:aws:dynamodb:*:*:table/{self._table_name(name)}"
            return base if attribute == "Arn" else f"{base}/stream/*" if attribute == "StreamArn" else UNKNOWN
        return UNKNOWN

    def _table_name(self, name: str) -> str:
        properties = self._resources[name].get("Properties")
        named = self._value(properties.get("TableName")) if isinstance(properties, Mapping) else None
        return named if isinstance(named, str) and named and UNKNOWN not in named else name

    def _sub(self, argument: Any) -> str:  # noqa: ANN401
        text, names = (argument[0], argument[1]) if isinstance(argument, list) and argument else (argument, {})
        given = names if isinstance(names, Mapping) else {}

        def replaced(match: re.Match[str]) -> str:
            name = match.group(1)
            if name.startswith("!"):  # `${!aws:PrincipalTag/x}` is IAM's own `${aws:PrincipalTag/x}`
                return "${" + name[1:] + "}"
            if name in given:
                return str(self._value(given[name]))
            if "." in name:
                return self._attribute(name)
            known = name in _PSEUDO or name in self._resources or name in self._parameters
            return self._ref(name) if known else match.group(0) if ":" in name or "/" in name else UNKNOWN

        return re.sub(r"\$\{([^}]+)\}", replaced, str(text))


def _is_intrinsic(value: Mapping[Any, Any]) -> bool:
    return len(value) == 1 and (next(iter(value)) in ("Ref", "Condition") or str(next(iter(value))).startswith("Fn::"))
