"""What a canary intent is: where it lives, its id, its item. Pure."""

import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from phase5_ops.clock import iso
from phase5_ops.probing.guard import INTENT_MARK, REASON_PREFIX

_LIFETIME = timedelta(hours=1)
#: Follows the mark in the id of an intent that nobody may act on: the id alone shows any action on it, however late.
_REFUSED = "n"
_ID = re.compile(rf"ai_\d+_{INTENT_MARK}{_REFUSED}?[0-9a-f]{{10}}")


@dataclass(frozen=True, slots=True)
class CanaryPlace:
    """Where an intent lives: tenant and account."""

    tenant: str
    account: str

    @property
    def partition(self) -> str:
        """The partition key of everything of this account."""
        return f"TENANT#{self.tenant}#ACCOUNT#{self.account}"


def places_of(tenants: Iterable[str], accounts: Iterable[str]) -> tuple[CanaryPlace, ...]:
    """Every tenant with every account."""
    return tuple(CanaryPlace(tenant, account) for tenant, account in product(tenants, accounts))


def new_intent_id(*, refused: bool = False, wall: Callable[[], float] = time.time) -> str:
    """An intent id in the platform's form, with this project's mark.

    Args:
        refused: every request for it must be refused.
        wall: epoch seconds.
    """
    return f"ai_{int(wall() * 1000)}_{INTENT_MARK}{_REFUSED if refused else ''}{secrets.token_hex(5)}"


def must_be_refused(intent_id: str) -> bool:
    """True for the id of a canary intent that nothing may ever act on."""
    return is_ours(intent_id) and intent_id.rpartition("_")[2].startswith(f"{INTENT_MARK}{_REFUSED}")


def is_ours(intent_id: str) -> bool:
    """True for the id of a canary intent."""
    stamp, _, random = intent_id.removeprefix("ai_").partition("_")
    return intent_id.startswith("ai_") and stamp.isdigit() and random.startswith(INTENT_MARK)


def mentioned(text: str) -> list[str]:
    """The ids of canary intents anywhere in a text, in their order."""
    return _ID.findall(text)


def decision_trace(run_id: str, intent_id: str) -> str:
    """The decision trace of a canary intent: nothing else has it, so whatever names it was caused by this intent."""
    return f"trace-{INTENT_MARK}-{run_id}-{intent_id}"


def intent_item(
    place: CanaryPlace, intent_id: str, *, run_id: str, action_type: str, now: datetime, expired: bool = False
) -> dict[str, Any]:
    """The item of an approved intent in DynamoDB JSON, as the platform writes it (platform's action intent table).

    Args:
        place: tenant and account.
        intent_id: of `new_intent_id`.
        run_id: the run that makes it.
        action_type: a harmless one.
        now: the platform's time, from which the intent is valid for an hour.
        expired: it has been expired for an hour instead.
    """
    expires = now - _LIFETIME if expired else now + _LIFETIME
    decision = f"dec_{INTENT_MARK}_{run_id}_{intent_id}"
    note = f"{REASON_PREFIX}{run_id} {intent_id}: a canary, safe to delete"
    policy = {"retry_count": {"N": "3"}, "timeout_seconds": {"N": "300"}, "max_attempts": {"N": "1"}}
    return {
        "pk": _text(place.partition),
        "sk": _text(f"ACTION_INTENT#{intent_id}"),
        "action_intent_id": _text(intent_id),
        "action_type": _text(action_type),
        "target": {"M": {"entity_type": _text("ACCOUNT"), "entity_id": _text(place.account)}},
        "parameters": {"M": {"title": _text("phase5 canary"), "content": _text(note)}},
        "approved_by": _text("phase5-probe"),
        "approval_timestamp": _text(iso(now)),
        "execution_policy": {"M": policy},
        "expires_at": _text(iso(expires)),
        "expires_at_epoch": {"N": str(int(expires.timestamp()))},
        "original_decision_id": _text(decision),
        "original_proposal_id": _text(decision),
        "edited_fields": {"L": []},
        "tenant_id": _text(place.tenant),
        "account_id": _text(place.account),
        "trace_id": _text(decision_trace(run_id, intent_id)),
        "registry_version": {"N": "1"},
        "confidence_score": {"N": "1"},
        "risk_level": _text("LOW"),
    }


def _text(value: str) -> dict[str, str]:
    return {"S": value}
