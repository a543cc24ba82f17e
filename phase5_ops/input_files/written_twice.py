"""Reads YAML or JSON that people write; a name given twice is refused, since nobody can tell which was meant. Pure.

YAML's merge keys (`<<`) work as usual: a mapping's own key wins over a merged one, and the first of several merged mappings over
the others. But each mapping, also one behind an anchor, may have each key once, `<<` included.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import yaml
from yaml.composer import ComposerError

from phase5_ops.input_files.json_text import json_value

#: Values of one document, as often as its anchors repeat them; a template of CloudFormation has at most 1 MB.
MOST_VALUES = 300_000


class WrittenTwice(ValueError):
    """A name stands twice in one mapping; the message names it and, for YAML, the lines."""


class DistinctKeysLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which by itself takes the last of two equal keys, and repeats an anchor as often as it is named."""

    def __init__(self, stream: Any) -> None:  # noqa: ANN401 - as the stubs have it
        super().__init__(stream)
        self._sizes: dict[yaml.Node, int] = {}  # with what stands behind anchors, as often as it is named

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - as the stubs have it
        """The next node.

        Raises:
            ComposerError: with what its anchors repeat it is larger than any document that people write, or it holds itself.
        """
        named = self.check_event(yaml.AliasEvent)
        node = super().compose_node(parent, index)
        if node is None:
            return None
        if node not in self._sizes:
            inside = [] if isinstance(node, yaml.ScalarNode) else node.value
            parts = [part for each in inside for part in (each if isinstance(each, tuple) else (each,))]
            self._sizes[node] = (
                MOST_VALUES + 1 if named else 1 + sum(self._sizes[part] for part in parts)
            )  # one that holds itself
        if self._sizes[node] > MOST_VALUES:
            raise ComposerError(
                None, None, f"with what its anchors repeat it has more than {MOST_VALUES} values", node.start_mark
            )
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - as the stubs have it
        """The mapping as it is written, before anything is merged into it.

        Raises:
            WrittenTwice: a key stands in it twice.
        """
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key = self._plain(key_node)
            line = key_node.start_mark.line + 1
            if key in first:
                raise WrittenTwice(f"the key {key_node.value!r} stands twice, in line {first[key]} and in line {line}")
            first[key] = line
        return node

    def _plain(self, node: yaml.Node) -> Hashable:
        """A key as it is compared: by its value; by identity if it is no scalar, which our documents never have."""
        if not isinstance(node, yaml.ScalarNode):
            return id(node)
        if node.tag in ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool", "tag:yaml.org,2002:null"):
            value: Hashable = self.construct_object(node)  # 1 and 0x1 are one key
            return value
        return (node.tag, node.value)


def distinct_yaml(text: str, loader: type[DistinctKeysLoader] = DistinctKeysLoader) -> Any:  # noqa: ANN401 - any YAML value
    """The content of one YAML document.

    Raises:
        WrittenTwice: a key stands twice in one mapping.
        yaml.YAMLError: it is not YAML.
    """
    return yaml.load(text, loader)  # noqa: S506 - a SafeLoader


def distinct_json(text: str | bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The content of JSON text.

    Raises:
        WrittenTwice: a name stands twice in one object.
        ValueError: it is not JSON.
    """
    return json_value(text, pairs=distinct)


def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, as a hook for `json_value`.

    Raises:
        WrittenTwice: a name stands in it twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise WrittenTwice(f"the name {twice!r} stands twice")
    return found
