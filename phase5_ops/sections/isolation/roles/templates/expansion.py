"""Writes out the loops in a template's resources, and names what else would change the resources. Pure.

Fn::ForEach over a literal list is expanded as AWS::LanguageExtensions does. Other loops, and every macro, are only named.

Source: AWS CloudFormation User Guide, "Fn::ForEach", "AWS::LanguageExtensions transform", "Template sections".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from phase5_ops.sections.isolation.roles.templates.constructs import described, macros, transforms
from phase5_ops.sections.isolation.roles.templates.values import function_of

_LOOP = "Fn::ForEach::"
_LOOP_PARTS = 3
#: Most turns of a template's loops that are written out; CloudFormation itself takes 500 resources.
_MOST_EXPANDED = 5000

#: Transforms whose effect is judged, or that make no role, policy or table.
_KNOWN_TRANSFORMS = frozenset(
    {
        "AWS::Serverless-2016-10-31",
        "AWS::LanguageExtensions",
        "AWS::SecretsManager-2020-07-23",
        "AWS::SecretsManager-2024-09-16",
        "AWS::CodeDeployBlueGreen",
    }
)
_SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Description",
        "Metadata",
        "Parameters",
        "Rules",
        "Mappings",
        "Conditions",
        "Transform",
        "Resources",
        "Outputs",
        "Hooks",
        "Globals",
    }
)
#: Sections in which a macro could change what roles may do.
_BEARING = ("Parameters", "Mappings", "Globals")
#: Keys of Globals that would grant something to every function; SAM does not document them there.
_GRANTING = ("Policies", "Role", "Connectors", "Events")


@dataclass(frozen=True, slots=True)
class Expanded:
    """Resources by logical id, and names of what is not judged in the template as a whole."""

    resources: dict[str, Any]
    not_judged: tuple[str, ...]


def expand(content: Mapping[str, Any]) -> Expanded:
    """The resources of a template's content, loops written out."""
    loops = _Loops()
    written = loops.written(content["Resources"])
    odd = [f"Transform {name}" for name in transforms(content.get("Transform")) if name not in _KNOWN_TRANSFORMS]
    odd += [name for key in content if key not in _SECTIONS for name in macros({key: content[key]}) or [f"section {key}"]]
    odd += [f"{name} in {section}" for section in _BEARING for name in macros(content.get(section))]
    odd += _of_globals(content.get("Globals"))
    for key in written:
        if str(key).startswith("Fn::"):
            odd += [f"{name} in Resources" for name in macros({key: written[key]}) or [str(key)]]
    resources = {str(key): entry for key, entry in written.items() if not str(key).startswith("Fn::")}
    return Expanded(resources, tuple(dict.fromkeys([*odd, *loops.clashes])))


def _of_globals(section: object) -> list[str]:
    """Names of what grants something to every function of the template and is not evaluated."""
    kinds = section.items() if isinstance(section, Mapping) else ()
    return [
        f"{key} of {kind} in Globals" for kind, entry in kinds for key in _GRANTING if isinstance(entry, Mapping) and key in entry
    ]


class _Loops:
    def __init__(self) -> None:
        self._expanded = 0
        self.clashes: list[str] = []

    def written(self, value: Any) -> Any:  # noqa: ANN401 - a part of a template, the same part with its loops written out
        if isinstance(value, list):
            return [self.written(entry) for entry in value]
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {}
        for key, entry in value.items():
            turns = self._turns(entry) if str(key).startswith(_LOOP) else None
            if turns is None:
                self._add(found, key, self.written(entry))
                continue
            for name, item, body in turns:
                for inner, part in self.written(_bound(body, name, item)).items():
                    self._add(found, inner, part)
        return found

    def _add(self, found: dict[str, Any], key: object, entry: object) -> None:
        if str(key) in found:
            self.clashes.append(f"{key} stands twice after Fn::ForEach")
        found[str(key)] = entry

    def _turns(self, loop: object) -> list[tuple[str, str, Mapping[str, Any]]] | None:
        """(variable, value, body) of each turn; None for a loop that cannot be written out."""
        if not isinstance(loop, list) or len(loop) != _LOOP_PARTS:
            return None
        name, items, body = loop
        if not isinstance(name, str) or not isinstance(items, list) or not isinstance(body, Mapping):
            return None
        if not all(isinstance(item, str | int) and "{{resolve:" not in str(item) for item in items):
            return None
        self._expanded += len(items)
        return None if self._expanded > _MOST_EXPANDED else [(name, str(item), body) for item in items]


def _bound(value: Any, name: str, item: str) -> Any:  # noqa: ANN401 - a part of a template
    """A loop's body with the variable replaced by its value in texts, keys and references."""
    if isinstance(value, str):
        plain = re.sub(r"[^A-Za-z0-9]", "", item)
        return value.replace(f"${{{name}}}", item).replace(f"&{{{name}}}", plain)
    if isinstance(value, list):
        return [_bound(entry, name, item) for entry in value]
    if isinstance(value, Mapping):
        if function_of(value) == ("Ref", name):
            return item
        return {_bound(key, name, item): _bound(entry, name, item) for key, entry in value.items()}
    return value


def unusable(name: str, entry: object) -> list[str]:
    """Why a resource cannot be read at all: no mapping, no type, a macro beside its type or properties."""
    if not isinstance(entry, Mapping):
        return [f"{name}: {described(entry)} as resource"]
    odd = [] if isinstance(entry.get("Type"), str) else [f"{name}: {described(entry.get('Type'))} as Type"]
    properties = entry.get("Properties", {})
    if not isinstance(properties, Mapping) or function_of(properties) is not None:
        odd += macros(properties) or [f"{name}: {described(properties)} as Properties"]
    return odd + [found for key in entry if str(key).startswith("Fn::") for found in macros({key: entry[key]})]
