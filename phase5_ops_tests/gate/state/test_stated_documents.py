"""What the gate said of a candidate is believed only as the gate signed it, of this series and whole, and said again in time."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.gate.attestation.envelopes import STATED_TYPE
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.state.items import Written, release_pk
from phase5_ops.gate.state.stated_documents import NotStated, Stated, StatedDocuments, mark_of, verified
from phase5_ops.gate.state.table import StateTable
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

SAID = Stated(RELEASE, 1, NOW, {"decision": "BLOCKED", "blockers": ["1.2 FAIL"]})


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path / "state")


@pytest.fixture
def table(desk) -> StatedDocuments:
    return StatedDocuments(desk.open().reader, desk.settings.tables.readiness)


def signing(desk: Desk, role: str = GATE, payload_type: str = STATED_TYPE):
    session = desk.open()

    def signed(payload: bytes) -> tuple[str, bytes]:
        made = sign(session.reader, load_key(session.reader, desk.settings.signing, role), payload, payload_type)
        return made.key_id, made.signature

    return signed


def read(desk: Desk, table: StatedDocuments, series: int = 1) -> Stated:
    return verified(table.newest(RELEASE, series), desk.open().keys, RELEASE, series)


def test_what_was_said_is_read_back_and_a_later_word_takes_its_place(desk, table):
    assert table.write(SAID, signing(desk)) is Written.DONE
    assert read(desk, table) == SAID
    later = replace(SAID, at=NOW + timedelta(minutes=1), document={"decision": "OPEN"})
    assert table.write(later, signing(desk)) is Written.DONE
    assert table.write(SAID, signing(desk)) is Written.REFUSED  # an older word never takes the place of a newer one
    assert read(desk, table) == later


def test_a_document_larger_than_an_item_is_kept_in_parts_and_read_whole_or_not_at_all(desk, table):
    noise = random.Random(7).randbytes(900_000).hex()
    large = replace(SAID, document={"decision": "BLOCKED", "noise": noise})
    assert table.write(large, signing(desk)) is Written.DONE
    assert read(desk, table) == large
    parts = table._query(release_pk(RELEASE), "STATED#000001#")
    assert len(parts) > 1
    resource = desk.session.resource("dynamodb").Table(desk.settings.tables.readiness)
    resource.delete_item(Key={"pk": parts[1]["pk"], "sk": parts[1]["sk"]})
    with pytest.raises(NotStated, match="missing or changed"):
        read(desk, table)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"role": "ops-sre"}, "not signed by the gate's key"),
        ({"payload_type": "application/vnd.in-toto+json"}, "not signed by the gate's key"),
    ],
    ids=["a role's key", "as a statement"],
)
def test_what_another_signed_or_signed_as_something_else_is_not_believed(desk, table, changes, said):
    table.write(SAID, signing(desk, **changes))
    with pytest.raises(NotStated, match=said):
        read(desk, table)


def test_a_document_of_another_release_or_series_does_not_stand_for_this_one(desk, table):
    table.write(replace(SAID, series=2), signing(desk))
    (item,) = table._query(release_pk(RELEASE), "STATED#")
    StateTable._put(table, {**item, "sk": "STATED#000001"}, "attribute_not_exists(pk)")
    with pytest.raises(NotStated, match=r"is about r-1\.2\.3, series 2"):
        read(desk, table)


@pytest.mark.parametrize("cut", ["packed", "signature", "stated"])
def test_what_was_changed_in_the_table_is_not_believed(desk, table, cut):
    table.write(SAID, signing(desk))
    (item,) = table._query(release_pk(RELEASE), "STATED#")
    changed = {
        "packed": {"packed": bytes(item["packed"])[:-3]},
        "signature": {"signature": b"x" + bytes(item["signature"])[1:]},
        "stated": {"packed": "no bytes"},
    }[cut]
    StateTable._put(table, {**item, **changed}, "attribute_exists(pk)")
    with pytest.raises(NotStated):
        read(desk, table)


def test_nothing_said_says_what_is_needed(desk, table):
    with pytest.raises(NotStated, match="promotion_gate writes a document at each tick"):
        read(desk, table, series=9)


def test_the_mark_tells_what_changes_from_what_only_grows_old():
    row = {"id": "1.2", "verdict": "FAIL", "waived": False, "findings": [{"code": "c", "subject": "s", "seen": "2 h old"}]}
    document = {
        **dict.fromkeys(("decision", "exit_code", "run_id", "evidence_digest", "policy_digest"), "x"),
        "sign_offs": [],
        "rows": [row],
        "extra_checks": [],
        "waivers": [],
        "candidate": {"fate": "PENDING"},
        "blockers": ["one"],
        "evaluated_at": "then",
    }
    older = {**document, "evaluated_at": "now", "rows": [{**row, "findings": [{**row["findings"][0], "seen": "3 h old"}]}]}
    assert mark_of(document) == mark_of(older)
    for changed in (
        {"decision": "y"},
        {"rows": [{**row, "verdict": "PASS"}]},
        {"rows": [{**row, "findings": []}]},
        {"candidate": {"fate": "PROMOTED"}},
        {"sign_offs": [{"role": "ops-sre", "done": True}]},
        {"blockers": ["one", "two"]},
    ):
        assert mark_of({**document, **changed}) != mark_of(document)


def test_a_word_from_the_future_gives_way_when_the_clock_is_right_again(desk, table):
    ahead = replace(SAID, at=NOW + timedelta(days=300), document={"decision": "OPEN"})
    assert table.write(ahead, signing(desk)) is Written.DONE
    assert table.write(SAID, signing(desk)) is Written.DONE
    assert read(desk, table) == SAID
