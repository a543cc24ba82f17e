"""A template's text as plain data, with CloudFormation's short forms (`!Sub`) as the long ones (`Fn::Sub`)."""

from collections.abc import Mapping
from typing import Any

import yaml

from phase5_ops.input_files.written_twice import DistinctKeysLoader, WrittenTwice, distinct_json, distinct_yaml


class UnreadableTemplate(Exception):
    """The text is no CloudFormation template."""


def parse(text: str) -> Mapping[str, Any]:
    """The content of a template in YAML or JSON; dates stay text, as CloudFormation takes them.

    Raises:
        UnreadableTemplate: not YAML or JSON, a key that stands twice in one mapping, or no mapping of Resources.
    """
    try:
        content = distinct_json(text) if text.lstrip()[:1] == "{" else distinct_yaml(text, _Loader)
    except WrittenTwice as error:
        raise UnreadableTemplate(str(error)) from error
    except (ValueError, yaml.YAMLError, RecursionError, TypeError) as error:
        raise UnreadableTemplate(f"neither JSON nor YAML: {str(error)[:200]}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("Resources"), Mapping):
        raise UnreadableTemplate("the template has no mapping Resources")
    return content


class _Loader(DistinctKeysLoader):
    """YAML with CloudFormation's short forms and without dates."""


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
