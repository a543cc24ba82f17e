"""What went to production and what is live, also where somebody wrote among the records what is none."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.commands.status import releases_exit_code, releases_json, releases_text
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.promotion.override_promotion import envelope_digests, standing_problems
from phase5_ops.gate.promotion.released import live, released
from phase5_ops.gate.state.items import OVERRIDE, PROMOTED, Fate, overrides_pk, promoted_pk
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, Signers
from phase5_ops_tests.gate.promotion.publications import TableInMemory

NEWER = replace(RELEASE, name="r-1.2.4", digest="sha256:" + "e" * 64)
HOUR = timedelta(hours=1)


@pytest.fixture
def table(signers: Signers) -> TableInMemory:
    """A release was promoted, and an hour later a newer one, which is live."""
    found = TableInMemory()
    found.promotes(signers, RELEASE, NOW)
    found.promotes(signers, NEWER, NOW + HOUR)
    return found


def history(table: TableInMemory, signers: Signers, since: datetime | None = None):
    return released(table, signers.keys(), RELEASE.environment, now=NOW + 9 * HOUR, since=since)


def malformed_record_of_an_order(table: TableInMemory) -> None:
    order = table.orders(OrderKind.BREAK_GLASS, RELEASE, NOW + 2 * HOUR)
    table.put(*table.record_of(RELEASE, order), {"promoted_at": "soon"})


def malformed_record_of_a_promotion(table: TableInMemory) -> None:
    table.put(*table.record_of(NEWER), {"promoted_at": 7})


def record_of_a_later_version(table: TableInMemory) -> None:
    table.put(*table.record_of(NEWER), {"schema": 2})


def malformed_note(table: TableInMemory) -> None:
    table.put(promoted_pk(RELEASE.environment), f"{PROMOTED}2026-11-23T15:00:00.000Z#r-1.2.5#000001", {"name": 7})


def note_of_no_release(table: TableInMemory) -> None:
    content = {"name": "x" * 3000, "digest": RELEASE.digest, "waived": ()}
    table.put(promoted_pk(RELEASE.environment), f"{PROMOTED}2026-11-23T15:00:00.000Z#x#000001", content)


@pytest.mark.parametrize(
    "wrong",
    [
        malformed_record_of_an_order,
        malformed_record_of_a_promotion,
        record_of_a_later_version,
        malformed_note,
        note_of_no_release,
    ],
)
def test_a_record_that_cannot_be_read_is_shown_with_its_problem_and_hides_no_other(table, signers, wrong):
    wrong(table)
    found = history(table, signers)
    assert [each.release for each in found if not each.problems] == [RELEASE, NEWER][: len(found) - 1]
    assert live(found) is None  # the last one cannot be read
    assert releases_exit_code(found) == 2
    assert "NOT VERIFIED: dynamodb:Item" in releases_text(RELEASE.environment, found, 400, 9)
    assert releases_json(RELEASE.environment, found)["history"][-1]["run_id"] == "unknown"
    assert found[-1] in history(table, signers, since=NOW + HOUR)


def test_a_note_whose_key_says_no_time_is_in_nobodys_place(table, signers):
    table.put(promoted_pk(RELEASE.environment), f"{PROMOTED}junk", {"name": "x"})
    found = history(table, signers)
    assert live(found).release == NEWER
    assert "AT#junk" in str(found[0])
    assert [each.release for each in history(table, signers, since=NOW)] == [RELEASE, NEWER]


def test_a_time_to_come_is_believed_only_where_the_gate_signed_it(table, signers):
    table.put(promoted_pk(RELEASE.environment), f"{PROMOTED}9999-01-01T00:00:00.000Z#zzz#000001", {"name": 7})
    record = table.items[table.record_of(RELEASE)]
    table.put(*table.record_of(RELEASE), {**record, "promoted_at": "2999-01-01T00:00:00.000Z"})
    found = history(table, signers)
    assert [(each.release.name, bool(each.problems)) for each in found[1:]] == [(RELEASE.name, True), (NEWER.name, False)]
    assert live(found).release == NEWER
    assert "CloudTrail" in str(found[0])


def test_an_order_whose_names_are_no_keys_has_no_record_that_is_asked_for(table, signers, monkeypatch):
    order = table.orders(OrderKind.ROLLBACK, RELEASE, NOW)
    odd = [
        replace(order, id="x" * 1010),
        replace(order, id="odd-1", series=10**1000),
        replace(order, id="odd-2", release=replace(RELEASE, name="x" * 3000)),
        replace(order, id="odd-3", release=replace(RELEASE, environment="staging")),
    ]
    for each in odd:
        table.put(overrides_pk(RELEASE.environment), OVERRIDE + each.id, {"payload": each.payload})
    asked = []
    monkeypatch.setattr(table, "_get", lambda pk, sk: asked.append(sk) or table.items.get((pk, sk)))
    assert live(history(table, signers)).release == NEWER
    assert sorted(asked) == ["PROMOTION#000001", "PROMOTION#000001", f"PROMOTION#000001#{order.id}"]


@pytest.mark.parametrize("wrong", [malformed_record_of_an_order, malformed_note, None])
def test_nothing_that_somebody_wrote_keeps_anybody_from_going_back(table, signers, monkeypatch, caplog, wrong):
    candidate = table.candidates(RELEASE, Fate.PROMOTED, NOW)
    record = table.promotion(RELEASE, 1)
    order = replace(table.orders(OrderKind.ROLLBACK, RELEASE, NOW + HOUR), rests_on=envelope_digests(record))
    if wrong is None:
        monkeypatch.setattr(
            table, "overrides", lambda _: datetime.min.replace(tzinfo=UTC) - HOUR
        )  # whatever it is that goes wrong
    else:
        wrong(table)
    assert standing_problems(table, signers.keys(), order, candidate, NOW + HOUR) == ()
    assert ("could not be read; the rollback goes on" in caplog.text) is (wrong is None)


def test_what_is_live_already_is_not_gone_back_to(table, signers):
    candidate = table.candidates(NEWER, Fate.PROMOTED, NOW + HOUR)
    order = table.orders(OrderKind.ROLLBACK, NEWER, NOW + 2 * HOUR)
    (reason,) = standing_problems(table, signers.keys(), order, candidate, NOW + 2 * HOUR)
    assert "the release is live since" in str(reason)
