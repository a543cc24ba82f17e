"""All values that a template's value may have: every alternative of its intrinsic functions, never a chosen one. Pure.

A parameter is any of its AllowedValues, or unknown if it has none (a deployment need not use the default). Both branches of
Fn::If count; a mapping gives all values that may be looked up. A value that the template does not give is `UNKNOWN`, as is one
with more than `MOST` alternatives.

Source: AWS CloudFormation User Guide, "Intrinsic function reference", "Pseudo parameters reference", "Parameters".
"""

import itertools
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from phase5_ops.sections.isolation.roles.evidence import UNKNOWN
from phase5_ops.sections.isolation.roles.templates.patterns import OWN_ACCOUNT, OWN_PARTITION, OWN_REGION

MOST = 64


class _Absent:
    """The type of ABSENT, which stands for `AWS::NoValue`."""


ABSENT: Final = _Absent()

_PSEUDO: Mapping[str, Any] = {
    "AWS::Region": OWN_REGION,
    "AWS::AccountId": OWN_ACCOUNT,
    "AWS::Partition": OWN_PARTITION,
    "AWS::NoValue": ABSENT,
}
_SUB = re.compile(r"\$\{([^}]+)\}")
_IF_PARTS, _MAP_PARTS = 3, (3, 4)


@dataclass(frozen=True, slots=True)
class Spread:
    """The entries of a list: all that it may have, and those that it surely has."""

    union: list[Any]
    certain: list[Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter's values, and whether it is a list of some of them."""

    values: tuple[Any, ...]
    is_list: bool = False


def parameters(section: object, *, by_default: bool = False) -> dict[str, Parameter]:
    """The parameters of a template; with `by_default` each is its default, which is used only for names to show."""
    found = {}
    for name, entry in (section if isinstance(section, Mapping) else {}).items():
        if not isinstance(entry, Mapping):
            continue
        kind, allowed = str(entry.get("Type", "String")), entry.get("AllowedValues")
        if kind.startswith("AWS::SSM::"):  # its values are names, looked up at deployment
            values: tuple[Any, ...] = (UNKNOWN,)
        elif by_default and "Default" in entry:
            values = (entry["Default"],)
        else:
            values = tuple(allowed) if isinstance(allowed, list) and allowed else (UNKNOWN,)
        found[str(name)] = Parameter(values, kind.startswith("List<") or kind == "CommaDelimitedList")
    return found


def function_of(value: object) -> tuple[str, Any] | None:
    """Name and argument of an intrinsic function; None for anything else."""
    if isinstance(value, Mapping) and len(value) == 1:
        ((name, argument),) = value.items()
        if name == "Ref" or (str(name).startswith("Fn::") and not str(name).startswith("Fn::ForEach")):
            return str(name), argument
    return None


def branches_of(value: object) -> list[Any] | None:
    """The two branches of an Fn::If; None for anything else."""
    function = function_of(value)
    if function and function[0] == "Fn::If" and isinstance(function[1], list) and len(function[1]) == _IF_PARTS:
        return function[1][1:]
    return None


@dataclass(slots=True)
class Values:
    """Resolves values of one template.

    Attributes:
        parameters: by name.
        mappings: the section Mappings.
        references: what Ref of a resource gives.
        attributes: what Fn::GetAtt of a resource's attribute gives.
    """

    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    mappings: Mapping[str, Any] = field(default_factory=dict)
    references: dict[str, Any] = field(default_factory=dict)
    attributes: dict[tuple[str, str], Any] = field(default_factory=dict)

    def alternatives(self, value: object) -> list[Any]:
        """All plain values that a value may have, once each; UNKNOWN for what is not known, ABSENT for AWS::NoValue."""
        if isinstance(value, list):
            return self._lists(value)
        if not isinstance(value, Mapping):
            return [value]
        function = function_of(value)
        if function is not None:
            resolve = _FUNCTIONS.get(function[0])
            return _bounded(resolve(self, function[1]) if resolve else [UNKNOWN])
        if any(str(name).startswith("Fn::") for name in value):  # a macro that rewrites its neighbours
            return [UNKNOWN]
        products = self._product([self.alternatives(entry) for entry in value.values()])
        if products is None:
            return [UNKNOWN]
        names = [str(name) for name in value]
        return _bounded({name: part for name, part in zip(names, parts, strict=True) if part is not ABSENT} for parts in products)

    def spread(self, value: object) -> Spread:
        """The entries of a value, without AWS::NoValue; a value that is no list counts as a list of one."""
        if isinstance(value, list):
            spreads = [self.spread(entry) for entry in value]
            return Spread([e for s in spreads for e in s.union], [e for s in spreads for e in s.certain])
        branches = branches_of(value)
        if branches is not None:
            return _either([self.spread(branch) for branch in branches])
        parameter = self._list_parameter(value)
        if parameter is not None:
            return Spread(list(parameter.values), [])
        return _either([Spread(entries, entries) for entries in map(_flat, self.alternatives(value))])

    def _lists(self, value: list[Any]) -> list[Any]:
        products = self._product([self.alternatives(entry) for entry in value])
        return [UNKNOWN] if products is None else _bounded([p for p in parts if p is not ABSENT] for parts in products)

    def _product(self, parts: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]] | None:
        """All combinations; None where they are too many."""
        return None if math.prod(map(len, parts)) > MOST else list(itertools.product(*parts))

    def _list_parameter(self, value: object) -> Parameter | None:
        function = function_of(value)
        found = self.parameters.get(str(function[1])) if function and function[0] == "Ref" else None
        return found if found is not None and found.is_list else None

    def ref(self, name: object) -> list[Any]:
        """What Ref may give; UNKNOWN for a list parameter, which may be any list of its values."""
        text = str(name)
        if text in _PSEUDO:
            return [_PSEUDO[text]]
        if text in self.references:
            return [self.references[text]]
        parameter = self.parameters.get(text)
        return [UNKNOWN] if parameter is None or parameter.is_list else list(parameter.values)

    def attribute(self, argument: object) -> list[Any]:
        """What Fn::GetAtt may give; known for tables, roles and managed policies of the template."""
        parts = argument if isinstance(argument, list) else str(argument).split(".", 1)
        if not all(isinstance(part, str) for part in parts):
            return [UNKNOWN]
        return [self.attributes.get((parts[0], ".".join(parts[1:])), UNKNOWN)] if parts else [UNKNOWN]

    def sub(self, argument: object) -> list[Any]:
        """Fn::Sub. `${!x}` becomes the text `${x}`; IAM's own variables stay, with or without the `!`."""
        with_names = isinstance(argument, list) and len(argument) == 2 and isinstance(argument[1], Mapping)  # noqa: PLR2004
        text, given = (argument[0], argument[1]) if with_names else (argument, {})  # type: ignore[index]
        if not isinstance(text, str):
            return [UNKNOWN]
        names = list(dict.fromkeys(_SUB.findall(text)))
        products = self._product([self._variable(name, given) for name in names])
        if products is None:
            return [UNKNOWN]
        return [_put_in(text, dict(zip(names, parts, strict=True))) for parts in products]

    def _variable(self, name: str, given: Mapping[str, Any]) -> list[str]:
        if name.startswith("!"):
            return ["${" + name[1:] + "}"]
        if name in given:
            return _texts(self.alternatives(given[name]))
        if name in _PSEUDO or name in self.references or name in self.parameters:
            return _texts(self.ref(name))
        if "." in name:
            return _texts(self.attribute(name))
        return ["${" + name + "}"] if (":" in name and not name.startswith("AWS::")) or "/" in name else [UNKNOWN]

    def join(self, argument: object) -> list[Any]:
        """Fn::Join."""
        if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):  # noqa: PLR2004
            return [UNKNOWN]
        lists = self.alternatives(argument[1])
        return [argument[0].join(map(_text, entries)) if isinstance(entries, list) else UNKNOWN for entries in lists]

    def select(self, argument: object) -> list[Any]:
        """Fn::Select; of a list parameter, any of its values."""
        if not isinstance(argument, list) or len(argument) != 2:  # noqa: PLR2004
            return [UNKNOWN]
        parameter = self._list_parameter(argument[1])
        if parameter is not None:
            return list(parameter.values)
        found = []
        for index, entries in itertools.product(self.alternatives(argument[0]), self.alternatives(argument[1])):
            place = int(index) if str(index).isdecimal() else None
            known = isinstance(entries, list) and place is not None and place < len(entries)
            found.append(entries[place] if known else UNKNOWN)
        return found

    def split(self, argument: object) -> list[Any]:
        """Fn::Split; a text with unknown parts may have any number of entries."""
        if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str) or not argument[0]:  # noqa: PLR2004
            return [UNKNOWN]
        texts = _texts(self.alternatives(argument[1]))
        return [UNKNOWN if "${" in text or "{{resolve:" in text else text.split(argument[0]) for text in texts]

    def find_in_map(self, argument: object) -> list[Any]:
        """Fn::FindInMap: every value that the lookup may give, for any stage or region."""
        if not isinstance(argument, list) or len(argument) not in _MAP_PARTS:
            return [UNKNOWN]
        level: list[Any] = [self.mappings]
        for key in argument[:3]:
            names = self.alternatives(key)
            level = [entry for part in level for entry in _looked_up(part, names)]
            if not level:
                return [UNKNOWN]
        for options in argument[3:]:
            default = options.get("DefaultValue") if isinstance(options, Mapping) else None
            level += self.alternatives(default) if default is not None else [UNKNOWN]
        return level

    def branches(self, argument: object) -> list[Any]:
        """Fn::If: the values of both branches."""
        parts = branches_of({"Fn::If": argument})
        return [UNKNOWN] if parts is None else [found for part in parts for found in self.alternatives(part)]

    def json_text(self, argument: object) -> list[Any]:
        """Fn::ToJsonString."""
        return [
            UNKNOWN if value is ABSENT or value == UNKNOWN else json.dumps(value, default=str)
            for value in self.alternatives(argument)
        ]


_FUNCTIONS: Mapping[str, Callable[[Values, object], list[Any]]] = {
    "Ref": Values.ref,
    "Fn::GetAtt": Values.attribute,
    "Fn::Sub": Values.sub,
    "Fn::Join": Values.join,
    "Fn::Select": Values.select,
    "Fn::Split": Values.split,
    "Fn::FindInMap": Values.find_in_map,
    "Fn::If": Values.branches,
    "Fn::ToJsonString": Values.json_text,
}


def _bounded(found: Iterable[Any]) -> list[Any]:
    """The values, once each; [UNKNOWN] where they are too many."""
    kept: list[Any] = []
    for value in found:
        if not any(value is other or (type(value) is type(other) and value == other) for other in kept):
            kept.append(value)
        if len(kept) > MOST:
            return [UNKNOWN]
    return kept


def _either(spreads: Sequence[Spread]) -> Spread:
    union = [entry for spread in spreads for entry in spread.union]
    first, *others = spreads or [Spread([], [])]
    return Spread(union, [entry for entry in first.certain if all(entry in other.certain for other in others)])


def _flat(value: object) -> list[Any]:
    if isinstance(value, list):
        return [entry for part in value for entry in _flat(part)]
    return [] if value is ABSENT else [value]


def _looked_up(part: object, names: Sequence[Any]) -> list[Any]:
    """What a mapping has under these names; all its values where a name is not known, or is the stack's own region or account."""
    if not isinstance(part, Mapping) or any(str(name).startswith("Fn::") for name in part):
        return [UNKNOWN]
    if all(isinstance(name, str | int) and "${" not in str(name) for name in names):
        plain = {str(key): value for key, value in part.items()}
        return [plain[str(name)] for name in names if str(name) in plain]
    return list(part.values())


def _put_in(text: str, known: Mapping[str, str]) -> str:
    return _SUB.sub(lambda match: known[match.group(1)], text)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else UNKNOWN


def _texts(values: Sequence[Any]) -> list[str]:
    return [_text(value) for value in values]
