"""Reads policy documents of a template: what they may allow, what they surely deny, and what is not judged. Pure.

Everything in a document is accounted for. An Allow is read as widely as it may be meant: with every possible action and resource,
without conditions that may be absent or are not known. A Deny counts only with what it surely has, and not at all where its
condition or effect may be another. A document given as text is parsed after its variables are filled in.

Source: IAM User Guide, "IAM JSON policy elements reference", "Grammar of the IAM JSON policy language".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeGuard

from phase5_ops.input_files.written_twice import distinct_json
from phase5_ops.sections.isolation.roles.evidence import UNKNOWN
from phase5_ops.sections.isolation.roles.templates.constructs import described
from phase5_ops.sections.isolation.roles.templates.grants import NOTHING, Granted, Grants, not_judged, one_of, together
from phase5_ops.sections.isolation.roles.templates.patterns import settled
from phase5_ops.sections.isolation.roles.templates.values import ABSENT, Spread, Values, branches_of, function_of

_DOCUMENT_KEYS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_KEYS = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_PRINCIPAL_KEYS = frozenset({"Principal", "NotPrincipal"})
_PRINCIPAL_KINDS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
VERSIONS = ("2012-10-17", "2008-10-17")
#: The principal that means everybody.
EVERYBODY = "*"


def over(value: object, read: Callable[[Any], Grants]) -> Grants:
    """What a list of parts grants, with Fn::If and AWS::NoValue at any place; `read` reads each single part."""
    branches = branches_of(value)
    if branches is not None:
        return one_of([over(branch, read) for branch in branches])
    if isinstance(value, list):
        return together(over(entry, read) for entry in value)
    return NOTHING if function_of(value) == ("Ref", "AWS::NoValue") else read(value)


class PolicyReader:
    """Reads documents of identity policies; with `of_resource`, those of resource policies, whose statements name principals.

    Statements of a resource policy get `Principal` as a list of texts: `*`, an ARN, an account, or `Service x`.
    """

    def __init__(self, values: Values, *, of_resource: bool = False) -> None:
        self._values = values
        self._of_resource = of_resource
        self._keys = _STATEMENT_KEYS | (_PRINCIPAL_KEYS if of_resource else frozenset())

    def document(self, value: object, policy: str) -> Grants:
        """A policy document: a mapping, text, or a function that gives either."""
        branches = branches_of(value)
        if branches is not None:
            return one_of([self.document(branch, policy) for branch in branches])
        function = function_of(value)
        if function and function[0] == "Fn::ToJsonString":
            return self.document(function[1], policy)
        if isinstance(value, Mapping) and function is None:
            return self._plain_document(value, policy)
        found = self._values.alternatives(value)
        return one_of([self._resolved_document(one, value, policy) for one in found])

    def _resolved_document(self, found: object, value: object, policy: str) -> Grants:
        if found is ABSENT:
            return NOTHING
        if isinstance(found, str) and found != UNKNOWN:
            try:
                found = distinct_json(found)
            except (ValueError, RecursionError):
                return not_judged(f"{policy}: policy text that is no JSON ({described(value)})")
        if isinstance(found, Mapping):
            return self._plain_document(found, policy)
        return not_judged(f"{policy}: {described(value)} as policy document")

    def _plain_document(self, content: Mapping[Any, Any], policy: str) -> Grants:
        odd = [f"{policy}: {name}" for name in _odd(content, _DOCUMENT_KEYS)]
        given = "Statement" in content
        statements = self._statements(content["Statement"], policy) if given else not_judged(f"{policy}: no Statement")
        versions = [str(one) for one in self._values.alternatives(content.get("Version", VERSIONS[1]))]
        known = versions if all(one in VERSIONS for one in versions) else list(VERSIONS)
        read = [_in_version(statements, version) for version in known]
        return together([one_of(read), not_judged(*odd)])

    def _statements(self, value: object, policy: str) -> Grants:
        return over(value, lambda entry: self._one_statement(entry, policy))

    def _one_statement(self, entry: object, policy: str) -> Grants:
        if isinstance(entry, Mapping) and function_of(entry) is None:
            return self._statement(entry, policy)
        return not_judged(f"{policy}: {described(entry)} as statement")

    def _statement(self, content: Mapping[Any, Any], policy: str) -> Grants:
        odd = [f"{policy}: {name} in a statement" for name in _odd(content, self._keys)]
        effects = [str(effect).lower() for effect in self._values.alternatives(content.get("Effect"))]
        odd += [f"{policy}: Effect {effect}" for effect in effects if effect not in ("allow", "deny", UNKNOWN)]
        allows: list[dict[str, Any]] = []
        denies: list[dict[str, Any]] = []
        if any(effect in ("allow", UNKNOWN) for effect in effects):
            allows, missing = self._allowing(content)
            odd += [f"{policy}: a statement without {name}" for name in missing]
        if effects == ["deny"] and not odd:
            denies = self._denying(content)
        return Grants(
            tuple(Granted(policy, "", {"Effect": "Allow", **one}) for one in allows),
            tuple(Granted(policy, "", {"Effect": "Deny", **one}) for one in denies),
            tuple(odd),
        )

    def _allowing(self, content: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
        """The widest statements that this Allow may mean, and the elements that it lacks."""
        actions = self._forms(content, "Action", allow=True)
        resources = self._forms(content, "Resource", allow=True)
        if self._of_resource and not resources:
            resources = [{"Resource": ["*"]}]
        missing = [name for name, forms in (("Action", actions), ("Resource", resources)) if not forms]
        found = [
            {**action, **resource, **condition, **self._principal(content, allow=True)}
            for action in actions
            for resource in resources
            for condition in self._conditions(content)
        ]
        return found, missing

    def _denying(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The statement that this Deny surely is; none where that is not known."""
        actions = self._forms(content, "Action", allow=False)
        resources = self._forms(content, "Resource", allow=False)
        if self._of_resource and not resources and "NotResource" not in content:
            resources = [{"Resource": ["*"]}]
        conditions = self._values.alternatives(content["Condition"]) if "Condition" in content else [ABSENT]
        principal = self._principal(content, allow=False)
        if len(actions) != 1 or len(resources) != 1 or len(conditions) != 1 or principal is None:
            return []
        if conditions[0] is ABSENT:
            return [{**actions[0], **resources[0], **principal}]
        if not _is_block(conditions[0]) or _vague(conditions[0]):
            return []
        return [{**actions[0], **resources[0], **principal, "Condition": _settled(conditions[0])}]

    def _forms(self, content: Mapping[str, Any], element: str, *, allow: bool) -> list[dict[str, Any]]:
        """An element and its negation as lists of texts: for an Allow the widest list, for a Deny the certain entries."""
        found = []
        for name, widest in ((element, allow), (f"Not{element}", not allow)):
            if name in content:
                spread = self._values.spread(content[name])
                if spread.union:
                    found.append({name: [_pattern(entry) for entry in (spread.union if widest else spread.certain)]})
        return found

    def _conditions(self, content: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The alternative conditions that an Allow may have; a part that is not known is left out, so that it does not limit."""
        if "Condition" not in content:
            return [{}]
        found = []
        for block in self._values.alternatives(content["Condition"]):
            known = {k: v for k, v in block.items() if not _vague({k: v})} if _is_block(block) else {}
            found.append({"Condition": _settled(known)} if known else {})
        return found

    def _principal(self, content: Mapping[str, Any], *, allow: bool) -> Any:  # noqa: ANN401 - None: a Deny whose principals are not certain
        if not self._of_resource:
            return {}
        if "Principal" not in content:  # NotPrincipal means everybody except some
            return {"Principal": [EVERYBODY]} if allow else None
        value = content["Principal"]
        if not isinstance(value, Mapping) or function_of(value) is not None:
            found = self._values.alternatives(value)
        else:
            found = [{kind: self._values.spread(named) for kind, named in value.items()}]
        if allow:
            return {"Principal": list(dict.fromkeys(name for one in found for name in _principals(one, certain=False)))}
        return {"Principal": list(_principals(found[0], certain=True))} if len(found) == 1 else None


def _principals(found: object, *, certain: bool) -> Iterable[str]:
    if not isinstance(found, Mapping) or not _PRINCIPAL_KINDS.issuperset(found):
        yield EVERYBODY if found == EVERYBODY else UNKNOWN
        return
    for kind, named in found.items():
        names = (named.certain if certain else named.union) if isinstance(named, Spread) else _listed(named)
        for name in names:
            yield _pattern(name, settle=False) if kind == "AWS" else f"{kind} {_pattern(name)}"


def _in_version(statements: Grants, version: str) -> Grants:
    """The same statements with this version of the policy language."""
    allows, denies = (tuple(replace(one, version=version) for one in some) for some in (statements.allows, statements.denies))
    return Grants(allows, denies, statements.not_judged)


def _odd(content: Mapping[Any, Any], known: frozenset[str]) -> list[str]:
    """The unknown keys, functions with what they refer to."""
    unknown = [str(key) for key in content if key not in known]
    return [described({key: content[key]}) if key == "Ref" or key.startswith("Fn::") else key for key in unknown]


def _pattern(entry: object, *, settle: bool = True) -> str:
    text = entry if isinstance(entry, str) else str(entry) if isinstance(entry, int | float) else UNKNOWN
    return settled(text) if settle else text


def _is_block(block: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(block, Mapping) and all(isinstance(keys, Mapping) for keys in block.values())


def _vague(block: Mapping[str, Any]) -> bool:
    """Whether an operator, a key or the value of a `Null` operator is not known."""
    for operator, keys in block.items():
        names = [str(operator), *map(str, keys)]
        values = [str(value) for value in keys.values()] if str(operator).lower().endswith("null") else []
        if any("${" in settled(text) for text in (*names, *values)):
            return True
    return False


def _settled(block: Mapping[str, Any]) -> dict[str, Any]:
    """A condition block with each value a settled text."""
    return {
        str(operator): {str(key): [_value(value) for value in _listed(values)] for key, values in keys.items()}
        for operator, keys in block.items()
    }


def _listed(values: object) -> Sequence[Any]:
    return values if isinstance(values, list) else [values]


def _value(value: object) -> object:
    return settled(value) if isinstance(value, str) else value if isinstance(value, bool | int | float) else UNKNOWN
