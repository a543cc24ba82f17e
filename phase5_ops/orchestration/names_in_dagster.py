"""What an environment names in a Dagster instance; nobody else makes an asset key, and a test looks for it.

An environment that is alone in its instance has plain names. Of a list (`settings.shares_instance`), each begins its asset keys
with its own name, and has its own groups, partitions of releases, concurrency pool and code location: these belong to the
instance, and two that were equal would be one. Jobs, sensors, schedules, checks and steps belong to a code location or to an
asset, and are called the same in every environment. Dagster is imported late, since a release pipeline needs only the names.
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from phase5_ops.settings import Settings

if TYPE_CHECKING:
    from dagster import AssetKey

#: The dynamic partitions that are the releases of an environment.
_RELEASES = "releases"
#: The concurrency pool of everything that reads the platform: deploy/dagster.yaml lets one run at a time do so.
_POOL = "ccnative"
#: The code location that workspace.yaml serves.
_LOCATION = "phase5_ops"


@dataclass(frozen=True, slots=True)
class DagsterNames:
    """The names of one environment.

    Attributes:
        beside_others: its name, where the instance has other environments too; None where it is alone.
    """

    beside_others: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The names of the environment of these settings."""
        return cls(settings.environment if settings.shares_instance else None)

    @property
    def prefix(self) -> list[str]:
        """What its asset keys begin with."""
        return [] if self.beside_others is None else [self.beside_others]

    def path(self, asset: str) -> list[str]:
        """The parts of an asset's key; those of a source are written with `/` between them."""
        return [*self.prefix, *asset.split("/")]

    def key(self, asset: str) -> "AssetKey":
        """An asset's key."""
        from dagster import AssetKey

        return AssetKey(self.path(asset))

    def group(self, group: str) -> str:
        """A group of assets: Dagster's lineage draws those of one name as one, of whatever location they are.

        Its names take fewer characters than a key.
        """
        return group if self.beside_others is None else f"{re.sub('[.-]', '_', self.beside_others)}__{group}"

    def step(self, asset: str) -> str:
        """The step that makes an asset, as a run's configuration names it."""
        return self.key(asset).to_python_identifier()

    @property
    def releases(self) -> str:
        """The dynamic partitions that are the environment's releases."""
        return self._own(_RELEASES)

    @property
    def pool(self) -> str:
        """The concurrency pool of the environment's platform."""
        return self._own(_POOL)

    @property
    def location(self) -> str:
        """The code location that serves the environment."""
        return self.beside_others or _LOCATION

    def _own(self, name: str) -> str:
        return name if self.beside_others is None else f"{name}_{self.beside_others}"


def plain_name(key: "AssetKey") -> str:
    """The name of an asset of evidence by its key, the same in every environment."""
    return key.path[-1]
