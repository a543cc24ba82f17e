"""The YAML file that PHASE5_CONFIG names: the settings of one environment, or a list with those of several. Pure.

A list is for several environments in one Dagster instance. Each entry says its `environment`; what they would otherwise share
without a word (evidence in one place, another state folder than the instance's) is refused here, before any of them is used. What
the settings in an entry mean is not known here: that is `settings.py`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from phase5_ops.input_files.written_twice import distinct_yaml
from phase5_ops.text import printable

#: Stands in asset keys, folder names and addresses, and is the attribute of the code location, so it begins as a name does.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RESERVED = "defs"  # the attribute of the code location of a single environment
#: Where each environment of a list needs a place of its own, by the keys that lead there.
_OWN_PLACES = (("evidence_s3_uri",), ("engine", "partials"))


class NoConfig(ValueError):
    """The file holds no settings, or a list that cannot be served; the message says why."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """What the file holds.

    Attributes:
        entries: the settings of each environment; of a file that is no list, its only mapping.
        environments: the names of the environments of a list, in the order of the entries; None where the file is no list.
    """

    entries: tuple[Mapping[str, Any], ...] = ({},)
    environments: tuple[str, ...] | None = None

    def entry(self, environment: str | None) -> Mapping[str, Any]:
        """The settings of an environment; without a list those of the file, whatever the name.

        Raises:
            NoConfig: it is a list, and no entry has this name; the message lists those there are.
        """
        if self.environments is None:
            return self.entries[0]
        if environment in self.environments:
            return self.entries[self.environments.index(environment)]
        named = "none is chosen" if environment is None else f"there is no {printable(environment)} among them"
        raise NoConfig(
            f"the file lists environments, and {named}: set PHASE5_ENVIRONMENT to one of {', '.join(self.environments)}"
        )


def config_file(text: str) -> ConfigFile:
    """What the text of the file says.

    Raises:
        NoConfig: it holds something else than settings, or the entries of its list cannot stand beside each other.
        WrittenTwice, yaml.YAMLError: as `distinct_yaml`.
    """
    content = distinct_yaml(text)
    if content is None:
        return ConfigFile()
    if isinstance(content, list):
        entries = tuple(_mapping(entry, f"entry {number} of the list: ") for number, entry in enumerate(content, 1))
        names = _environments(entries)
        _refuse_shared_places(entries, names)
        return ConfigFile(entries, names)
    return ConfigFile((_mapping(content, ""),))


def _mapping(content: object, where: str) -> Mapping[str, Any]:
    if not isinstance(content, dict):
        raise NoConfig(f"{where}expected a mapping of settings, found {type(content).__name__}")
    if odd := [key for key in content if not isinstance(key, str)]:
        raise NoConfig(f"{where}setting names are text, found {odd[0]!r}")
    return content


def _environments(entries: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of a list's environments, which nothing confuses: no file system, no identifier of Dagster."""
    if not entries:
        raise NoConfig("the list of environments is empty")
    names: list[str] = []
    alike: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        name = entry.get("environment")
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == _RESERVED:
            shown = "it has none" if name is None else f"{printable(str(name))} is none"
            raise NoConfig(
                f"entry {number} of the list needs a name of its own as environment, and {shown}: 1 to 64 of A-Z a-z 0-9 . _ -,"
                f" the first a letter or digit, and not {_RESERVED}"
            )
        other = alike.setdefault(re.sub(r"[.-]", "_", name).casefold(), name)
        if len(alike) < number:
            like = "stands twice" if other == name else f"is too much like {other}: folders and Dagster take them for one"
            raise NoConfig(f"the environment {name} {like}")
        names.append(name)
    return tuple(names)


def _refuse_shared_places(entries: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Raises NoConfig where two environments would keep evidence in one place, or not be in one Dagster instance."""
    if len({repr(entry.get("state_dir")) for entry in entries}) > 1:
        raise NoConfig(
            "state_dir must be the same in every entry, or in none: it is the folder of the one Dagster instance of all"
        )
    for keys in _OWN_PLACES:
        owner: dict[str, str] = {}
        for entry, name in zip(entries, names, strict=True):
            place = _at(entry, keys)
            if isinstance(place, str) and (other := owner.setdefault(place.rstrip("/"), name)) != name:
                raise NoConfig(f"{'.'.join(keys)} of {name} is that of {other}: give each environment a place of its own")


def _at(entry: Mapping[str, Any], keys: Sequence[str]) -> object:
    found: object = entry
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found
