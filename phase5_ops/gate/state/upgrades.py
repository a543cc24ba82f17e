"""Steps from what an earlier version wrote into the state table to what this one expects; `phase5 init` takes those that lack.

Each step is numbered, can be repeated with the same result, and is noted when it is done:

    pk                      sk                 what
    SCHEMA#<environment>    UPGRADE#<number>   that a step was done: its name, when, by which version

So a process that is killed at any point leaves a table that every version reads, and the next `phase5 init` does what is left. A
step only adds; one after which earlier versions must no longer read the table gives the item KEYS#<environment> PINNED a higher
version (`items.VERSION_ATTRIBUTE`), which commands and ticks read before they trust any key. There is none of that kind so far.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from phase5_ops.clock import iso
from phase5_ops.gate.state.item_table import ItemTable
from phase5_ops.gate.state.items import PINNED, attributes, keys_pk, pinned_keys_in

_DONE = "UPGRADE#"

#: What upgrading needs, on the environment's partitions KEYS and SCHEMA.
IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query")


class NewerTable(Exception):
    """A later version has upgraded the table; the message says which step, and what to do."""


class Upgrades(ItemTable):
    """The part of the state table that says which steps were taken. Every method raises StateError where AWS does not answer."""

    def pending(self, environment: str) -> "list[UpgradeStep]":
        """The steps that were not taken yet.

        Raises:
            NewerTable: the table has had steps that this version does not know.
        """
        done = {str(item["sk"]).removeprefix(_DONE): item for item in self._query(_schema_pk(environment), _DONE)}
        known = {f"{step.number:06d}" for step in STEPS}
        if later := sorted(done.keys() - known):
            by = done[later[-1]].get("by", "a later version")
            raise NewerTable(
                f"the state table was upgraded by {by} (step {later[-1]}), which this version does not know:"
                " update phase5 here, see docs/upgrading.md"
            )
        return [step for step in STEPS if f"{step.number:06d}" not in done]

    def upgrade(self, environment: str, now: datetime) -> Iterator[str]:
        """Takes the steps that lack, in order; yields a line for each.

        Raises:
            NewerTable: as `pending`.
        """
        for step in self.pending(environment):
            said = step.take(self, environment)
            content = {"name": step.name, "at": iso(now), "by": f"phase5-ops {version('phase5-ops')}"}
            self._put_new(_schema_pk(environment), f"{_DONE}{step.number:06d}", content, same=("name",))
            yield f"upgrade step {step.number}, {step.name}: {said}"

    def begin_history_of_keys(self, environment: str) -> str:
        """Notes the keys that were pinned last in the history of pinned keys too, where an earlier version kept only the last."""
        item = self._get(keys_pk(environment), PINNED)
        if item is None:
            return "no keys are pinned yet"
        pinned = pinned_keys_in(item)
        self._put_new(keys_pk(environment), f"{PINNED}#{iso(pinned.pinned_at)}", attributes(pinned))
        return f"it begins with the keys pinned at {iso(pinned.pinned_at)}"


@dataclass(frozen=True, slots=True)
class UpgradeStep:
    """One step; `take` does it and says what was done, and does nothing where it was done before."""

    number: int
    name: str
    take: Callable[[Upgrades, str], str]


STEPS = (UpgradeStep(1, "history of pinned keys", Upgrades.begin_history_of_keys),)


def _schema_pk(environment: str) -> str:
    return f"SCHEMA#{environment}"
