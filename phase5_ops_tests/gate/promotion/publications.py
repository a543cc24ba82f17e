"""A state table in memory with promotions and orders that took effect, signed by the signers of a test; no AWS."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import OrderKind, idempotency_key
from phase5_ops.gate.attestation.override_statement import SIGNERS, Override
from phase5_ops.gate.inputs.promotion_records import publication_statement
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.item_table import Key
from phase5_ops.gate.state.items import (
    OVERRIDE,
    PROMOTED,
    Candidate,
    Fate,
    Noted,
    Promotion,
    attributes,
    candidate_item,
    overrides_pk,
    promoted_pk,
    release_pk,
    slot,
)
from phase5_ops.gate.state.table import StateTable
from phase5_ops_tests.gate.own_aws import Signers, decision_payload, readiness_payload

ROLES_OF = {OrderKind.ROLLBACK: ("ops-sre",), OrderKind.BREAK_GLASS: ("ops-sre", "eng-reliability")}


class TableInMemory(StateTable):
    """A state table that is read only; its items are put with `put`, whatever they are."""

    def __init__(self) -> None:
        self.items: dict[Key, dict[str, Any]] = {}

    def put(self, pk: str, sk: str, content: Mapping[str, Any]) -> None:
        """An item as anybody may write it who may write to the table."""
        self.items[pk, sk] = {"pk": pk, "sk": sk, **content}

    def read_ahead(self, keys: Iterable[Key]) -> None:
        """Nothing is far away."""

    def _get(self, pk: str, sk: str) -> dict[str, Any] | None:
        return self.items.get((pk, sk))

    def _query(self, pk: str, prefix: str) -> list[dict[str, Any]]:
        return [item for (of, sk), item in sorted(self.items.items()) if of == pk and sk.startswith(prefix)]

    def candidates(self, release: Release, fate: Fate, at: datetime) -> Candidate:
        """A candidate of series 1 with this fate."""
        candidate = Candidate(release, 1, fate, at, at + timedelta(days=7), "pipeline")
        item = candidate_item(candidate)
        self.put(item["pk"], item["sk"], item)
        return candidate

    def promotes(self, signers: Signers, release: Release, at: datetime) -> Candidate:
        """The open gate has promoted series 1 of a release at this moment."""
        readiness = signers.envelope(readiness_payload(release, now=at))
        self._recorded(signers, release, at, readiness)
        noted = Noted(release.name, release.digest, ())
        self.put(promoted_pk(release.environment), f"{PROMOTED}{at.isoformat()}#{release.name}#000001", attributes(noted))
        return self.candidates(release, Fate.PROMOTED, at)

    def orders(self, kind: OrderKind, release: Release, at: datetime) -> Override:
        """An order to promote series 1 of a release, signed by nobody so far."""
        name = f"{kind.lower().replace('_', '-')}-{len(self.items)}"
        order = Override(name, kind, release, 1, "orders are lost", "INC-1", "bob", at, at + timedelta(minutes=60))
        self.put(overrides_pk(release.environment), OVERRIDE + name, {"payload": order.payload})
        return order

    def takes_effect(self, signers: Signers, order: Override, at: datetime) -> None:
        """The order is signed by those who must, and the gate has promoted by it at this moment."""
        roles = ROLES_OF[order.kind]
        assert len(roles) == SIGNERS[order.kind]
        signed = envelope_bytes(order.payload, dict(signers.sign(role, order.payload) for role in roles))
        self._recorded(signers, order.release, at, signed, order)

    def record_of(self, release: Release, order: Override | None = None) -> Key:
        """The key of the record of a promotion."""
        return release_pk(release), slot("PROMOTION", 1, order.id if order else "")

    def _recorded(self, signers: Signers, release: Release, at: datetime, basis: bytes, order: Override | None = None) -> None:
        decision = signers.envelope(decision_payload(basis, release=release, now=at, override=order), (GATE,))
        key = idempotency_key(release, 1, order.id if order else "")
        record = Promotion("run-1", at, key, basis.decode(), decision.decode(), "done")
        key_id, signature = signers.sign(GATE, publication_statement(record, release, 1, order))
        self.put(*self.record_of(release, order), attributes(replace(record, key_id=key_id, signature=signature.hex())))
