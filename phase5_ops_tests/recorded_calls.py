"""The AWS calls that a run makes, with all their parameters, as its reader's clients are asked for them."""

import json
import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

from phase5_ops.aws.reader import USER_AGENT

#: Operation and what it is asked about: the table, the function, or "".
Asked = tuple[str, str]

_WRITES = ("Put", "Update", "Delete", "BatchWrite", "Sign")


class RecordedCalls:
    """What was asked so far. Safe to use from several threads."""

    def __init__(self) -> None:
        self._calls: Counter[tuple[Asked, str]] = Counter()
        self._lock = threading.Lock()

    def add(self, operation: str, parameters: dict[str, Any]) -> None:
        """Notes one call."""
        about = str(parameters.get("TableName") or parameters.get("FunctionName") or "")
        with self._lock:
            self._calls[(operation, about), json.dumps(parameters, sort_keys=True, default=str)] += 1

    def by_operation(self, *, polled: Collection[Asked]) -> Counter[str]:
        """How many calls of each operation there were, but for those that wait for something to change."""
        made: Counter[str] = Counter()
        for (asked, _), times in self._calls.items():
            if asked not in polled:
                made[asked[0]] += times
        return made

    def repeated_reads(self) -> set[Asked]:
        """What was read more than once with the same parameters."""
        return {asked for (asked, _), times in self._calls.items() if times > 1 and not asked[0].startswith(_WRITES)}


@contextmanager
def recorded_calls() -> Iterator[RecordedCalls]:
    """Records the calls that clients of `AwsReader` make in this block."""
    recorded, make = RecordedCalls(), BaseClient._make_api_call

    def record(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        if client.meta.config.user_agent_extra == USER_AGENT:
            recorded.add(operation, parameters)
        return make(client, operation, parameters)

    with patch.object(BaseClient, "_make_api_call", record):
        yield recorded
