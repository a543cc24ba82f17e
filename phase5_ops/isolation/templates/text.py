"""A template's text as plain data, with CloudFormation's short forms (`!Sub`) as the long ones (`Fn::Sub`)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml


class UnreadableTemplate(Exception):
    """The text is no CloudFormation template."""


def parse(text: str) -> Mapping[str, Any]:
    """The content of a template in YAML or JSON; dates stay text, as CloudFormation takes them.

    Raises:
        UnreadableTemplate: not YAML or JSON, a key that stands twice in one mapping, or no mapping of Resources.
    """
    try:
        content = (
            json.loads(text, object_pairs_hook=once_each) if text.lstrip()[:1] == "{" else yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
        )
    except (ValueError, yaml.YAMLError, RecursionError, TypeError) as error:
        raise UnreadableTemplate(f"neither JSON nor YAML: {str(error)[:200]}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("Resources"), Mapping):
        raise UnreadableTemplate("no mapping of Resources")
    return content


def once_each(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping of JSON whose keys stand once each: of two with one name, a parser would silently drop the first.

    Raises:
        ValueError: a key stands twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands twice in one mapping")
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms, without dates, and without keys that stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """As SafeLoader does, refusing a key that stands twice; what `<<` merges in may be overridden."""
        own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge"]
        if twice := next((key for key in own if own.count(key) > 1), None):
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice!r} stands twice in one mapping", node.start_mark)
        return super().construct_mapping(node, deep=deep)


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


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_multi_constructor("!", _short_form)
