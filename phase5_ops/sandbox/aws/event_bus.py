"""Event rules of the sandbox that reach the platform inside it.

moto evaluates rules and knows some kinds of targets; a state machine or a function is none of them. Here such a target is a
callable of this process. A rule that is disabled delivers nothing, and a target that nobody serves loses its events, as on AWS.
"""

import copy
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from moto.events.models import Rule

_log = logging.getLogger(__name__)

Deliver = Callable[[Mapping[str, Any]], None]

_SERVED_HERE = ("states", "lambda")


@contextmanager
def targets(served: Mapping[str, Deliver]) -> Iterator[None]:
    """In this block, events that match a rule reach the `served` targets, by ARN. `served` may change meanwhile."""
    original = Rule.send_to_targets

    def send_to_targets(self: Any, original_event: dict[str, Any], transform_input: bool = True) -> None:  # noqa: ANN401
        if self.state == "DISABLED" or not self.event_pattern.matches_event(original_event):
            return
        ours = [target for target in self.targets if target["Arn"] in served or target["Arn"].split(":")[2] in _SERVED_HERE]
        for target in ours:
            if deliver := served.get(target["Arn"]):
                _deliver(deliver, original_event)
        if len(ours) < len(self.targets):
            others = copy.copy(self)
            others.targets = [target for target in self.targets if target not in ours]
            original(others, original_event, transform_input)

    with patch.object(Rule, "send_to_targets", send_to_targets):
        yield


def _deliver(deliver: Deliver, event: dict[str, Any]) -> None:
    """A target's error is the target's own: whoever put the event does not see it."""
    try:
        deliver(copy.deepcopy(event))
    except Exception:  # noqa: BLE001 - see above
        _log.exception("a target of the sandbox's event bus ended in an error")
