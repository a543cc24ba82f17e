"""Waiting for a rollback or for broken glass: it took effect where the gate has signed that it did, and nowhere else."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.commands import override as override_command
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.state.items import Promotion, attributes
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, Signers
from phase5_ops_tests.gate.promotion.publications import TableInMemory

NEWER = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
KINDS = [OrderKind.ROLLBACK, OrderKind.BREAK_GLASS]


@pytest.fixture
def table(signers: Signers, monkeypatch) -> TableInMemory:
    found = TableInMemory()
    session = SimpleNamespace(state=found, keys=signers.keys(), now=NOW)
    monkeypatch.setattr(override_command, "new_session", lambda *_: session)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_an_effect_that_the_gate_signed_is_one(table, signers, capsys, kind):
    order = table.orders(kind, RELEASE, NOW)
    table.takes_effect(signers, order, NOW + timedelta(minutes=1))
    assert override_command._wait(None, order, 0) == 0
    assert capsys.readouterr().out == f"{order.id} took effect at 2026-11-23T12:01:00.000Z in run run-1: done\n"


@pytest.mark.parametrize("kind", KINDS)
def test_no_effect_in_time_is_said(table, capsys, kind):
    assert override_command._wait(None, table.orders(kind, RELEASE, NOW), 0) == 1
    assert "no effect within 0 s" in capsys.readouterr().out


def test_an_item_that_a_signer_wrote_is_no_effect(table, capsys):
    order = table.orders(OrderKind.ROLLBACK, RELEASE, NOW)
    table.put(
        *table.record_of(RELEASE, order), {"promoted_at": "2026-11-23T12:00:00Z", "holder": "run-x", "answer": "\x1b[2Jdone"}
    )
    assert override_command._wait(None, order, 60) == 2
    said = capsys.readouterr().out
    assert "the gate has not signed that it was published" in said
    assert "it is not known whether it took effect" in said
    assert "took effect at" not in said


def test_the_record_of_another_order_or_of_an_edited_answer_is_no_effect(table, signers):
    other, order = (table.orders(OrderKind.ROLLBACK, each, NOW) for each in (NEWER, RELEASE))
    table.takes_effect(signers, other, NOW)
    table.put(*table.record_of(RELEASE, order), table.items[table.record_of(NEWER, other)])
    assert override_command._wait(None, order, 60) == 2
    table.takes_effect(signers, order, NOW)
    record: Promotion = table.promotion(RELEASE, 1, override=order.id)
    table.put(*table.record_of(RELEASE, order), attributes(replace(record, answer="fine")))
    assert override_command._wait(None, order, 60) == 2
