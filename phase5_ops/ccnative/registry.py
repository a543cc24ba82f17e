"""The action type registry: its items, and the table `registered_tools` made from them and the settings. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from phase5_ops.ccnative.names import canonical_tool, connector_of_tool
from phase5_ops.evidence.table import Column, DeclaredTable, GatheredTable
from phase5_ops.policy import ToolSetting
from phase5_ops.reads import Read, ReadStatus


@dataclass(frozen=True, slots=True)
class RegisteredTool:
    """One row of `registered_tools`: a tool that must be there."""

    tool: Annotated[str, "canonical name", Column(unique=True)]
    connector: Annotated[str, "the canonical connector it runs through"]
    action_types: Annotated[list[str], "those that the registry maps to it"]
    source: Annotated[str, "who names it", Column(among=("registry", "settings", "registry+settings"))]
    traffic: Annotated[str, "rare where the settings say so", Column(among=("steady", "rare"))]


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """`malformed`: the items that could not be understood, as {item: key, problem: text}; the others are used."""

    malformed: list[dict[str, str]] = field(default_factory=list)


REGISTERED_TOOLS = DeclaredTable(RegisteredTool, RegistryFacts)
Registry = GatheredTable[RegisteredTool, RegistryFacts]

_PARTITION_KEY = re.compile(r"ACTION_TYPE#(?P<action_type>.+)")
_SORT_KEY = re.compile(r"REGISTRY_VERSION#(?P<version>\d+)")


class _RegistryText(BaseModel):
    """A DynamoDB string that is not empty."""

    model_config = ConfigDict(strict=True)
    S: str = Field(min_length=1)


class _Number(BaseModel):
    """A DynamoDB whole number."""

    model_config = ConfigDict(strict=True)
    N: str = Field(pattern=r"^\d+$")


class _RegistryItem(BaseModel):
    """What is used of an item of the action type registry, in DynamoDB JSON."""

    model_config = ConfigDict(strict=True)
    pk: _RegistryText
    sk: _RegistryText
    action_type: _RegistryText
    tool_name: _RegistryText
    registry_version: _Number


def registered_tools(
    items: Iterable[Mapping[str, Any]], read: Read, settings_tools: Sequence[ToolSetting], *, observed_at: datetime
) -> Registry:
    """The tools that must be there: those of the registry's highest version of each action type, plus the settings' list.

    Args:
        items: all items of the registry table, DynamoDB JSON.
        read: how the registry was read.
        settings_tools: the settings' tools; they also give the connector and the traffic of a tool that the registry names.
        observed_at: evaluation time of the run.

    Returns:
        The table, by tool.
    """
    action_types, malformed = _registry_tools(items)
    settings = {canonical_tool(tool.name): tool for tool in settings_tools}
    rows = []
    for tool in sorted(action_types.keys() | settings.keys()):
        setting = settings.get(tool)
        named_by = [name for name, tools in (("registry", action_types), ("settings", settings)) if tool in tools]
        rows.append(
            RegisteredTool(
                tool=tool,
                connector=(setting and setting.connector) or connector_of_tool(tool),
                action_types=sorted(action_types.get(tool, ())),
                source="+".join(named_by),
                traffic=setting.traffic if setting else "steady",
            )
        )
    return REGISTERED_TOOLS.gathered(rows, RegistryFacts(malformed)).with_reads([read], observed_at)


def malformed_reads(table: Registry) -> list[Read]:
    """The registry items behind `registered_tools` that could not be understood, as reads, for evidence that builds on it.

    Which action types a tool or connector has is then not known.
    """
    return [
        replace(scan, status=ReadStatus.INVALID, resource=f"{scan.resource} {entry['item']}", error=entry["problem"])
        for scan in table.reads[:1]
        for entry in table.facts.malformed
    ]


def _registry_tools(items: Iterable[Mapping[str, Any]]) -> tuple[dict[str, set[str]], list[dict[str, str]]]:
    """Action types by canonical tool, and the malformed items."""
    newest: dict[str, tuple[int, str]] = {}
    malformed = []
    for item in items:
        try:
            action_type, version, tool = _entry(item)
        except ValueError as error:
            malformed.append({"item": _key(item), "problem": str(error)})
            continue
        newest[action_type] = max(newest.get(action_type, (0, "")), (version, tool))
    tools = defaultdict(set)
    for action_type, (_, tool) in newest.items():
        tools[canonical_tool(tool)].add(action_type)
    return tools, sorted(malformed, key=lambda entry: entry["item"])


def _entry(item: Mapping[str, Any]) -> tuple[str, int, str]:
    """Action type, registry version and tool name of an item.

    Raises:
        ValueError: an attribute is missing, of a wrong type, or contradicts the item's key; the message names it.
    """
    try:
        record = _RegistryItem.model_validate(item)
    except ValidationError as error:
        problems = (f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors(include_url=False, include_input=False))
        raise ValueError("; ".join(problems)) from error
    partition, sort = _PARTITION_KEY.fullmatch(record.pk.S), _SORT_KEY.fullmatch(record.sk.S)
    if partition is None or sort is None:
        raise ValueError("the key is not ACTION_TYPE#<type> / REGISTRY_VERSION#<n>")
    if partition["action_type"] != record.action_type.S:
        raise ValueError(f"action_type: {record.action_type.S} contradicts the key")
    if int(record.registry_version.N) != int(sort["version"]):
        raise ValueError(f"registry_version: {record.registry_version.N} contradicts the key")
    if not canonical_tool(record.tool_name.S):
        raise ValueError("tool_name: nothing after the gateway's prefix")
    return record.action_type.S, int(record.registry_version.N), record.tool_name.S


def _key(item: Mapping[str, Any]) -> str:
    """`pk / sk` of an item, as far as it has them."""
    values = (item.get(name) for name in ("pk", "sk"))
    return " / ".join(str(value["S"] if isinstance(value, dict) and "S" in value else value) for value in values)
