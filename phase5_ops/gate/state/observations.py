"""What the gate saw deployed after promotions: appended behind the newest by conditional writes, never changed.

Items: see `table.py`. What an observation holds is in `attestation/observation.py`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from phase5_ops.gate.attestation.observation import Observation, RecordedObservation, observation_of, observation_payload
from phase5_ops.gate.state.item_table import ItemTable
from phase5_ops.gate.state.items import MalformedItem, Written

_SEEN = "SEEN#"


class Observations(ItemTable):
    """The part of the state table that holds what was seen deployed. Every method raises StateError where AWS does not answer."""

    def newest(self, environment: str) -> RecordedObservation | None:
        """The newest observation of an environment; None where there is none."""
        items, _ = self._newest_page(deployed_pk(environment), _SEEN, 1, {})
        return recorded_in(items[0]) if items else None

    def all(self, environment: str) -> list[RecordedObservation]:
        """Every observation of an environment, oldest first."""
        return [recorded_in(item) for item in self._query(deployed_pk(environment), _SEEN)]

    def append(
        self, seen: Observation, behind: RecordedObservation | None, sign: Callable[[bytes], tuple[str, bytes]]
    ) -> Written:
        """Appends an observation behind the newest one; refused where another daemon appended one meanwhile."""
        number, previous = (behind.number + 1, behind.digest) if behind else (1, "")
        payload = observation_payload(seen, number, previous)
        key_id, signature = sign(payload)
        content = {"payload": payload, "key_id": key_id, "signature": signature}
        return self._put_new(deployed_pk(seen.release.environment), f"{_SEEN}{number:09d}", content, same=("payload",))


def deployed_pk(environment: str) -> str:
    """The partition of what was seen deployed."""
    return f"DEPLOYED#{environment}"


def recorded_in(item: Mapping[str, Any]) -> RecordedObservation:
    """The observation in an item.

    Raises:
        MalformedItem: it is none, or not the one that its key names.
    """
    try:
        found = observation_of(bytes(item["payload"]), str(item["key_id"]), bytes(item["signature"]))
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedItem(item, error) from error
    if (item["pk"], item["sk"]) != (deployed_pk(found.seen.release.environment), f"{_SEEN}{found.number:09d}"):
        raise MalformedItem(item, ValueError("it is not the observation that its key names"))
    return found
