"""The quick way of taking an item gives what the close look gives, whatever the item."""

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.ledger import Ledger
from phase5_ops_tests.sections.replay.audit.ledgers import NOW_MS, dynamodb, entry, replay


class Closely(Ledger):
    """Looks at every item closely."""

    def _took_usual(self, item):
        return False


def indexed(item):
    pk, stamp, trace = item["pk"], item["timestamp"], item["traceId"]
    return {**item, "gsi1pk": f"TRACE#{trace}", "gsi1sk": stamp, "gsi2pk": pk, "gsi2sk": stamp}


USUAL = [
    *(dynamodb(indexed(item)) for item in (*replay(name="one"), *replay(name="two", failed=True))),
    dynamodb(indexed({**entry("ACTION_EXECUTED", NOW_MS - 5, trace="t"), "data": {"action_intent_id": "i", "status": "FAILED"}})),
    dynamodb(entry("SIGNAL", NOW_MS - 9, trace="t")),
    dynamodb(entry("POLICY_EVALUATED", NOW_MS - 1, trace="t")),
]
VALUES = st.one_of(
    st.sampled_from(
        [
            "REPLAY_STARTED", " replay_started", "SIGNAL", "", " ", "TENANT#acme", "TENANT#other", "TENANT#", "acme", "x\ud800",
            "2026-11-23T11:00:00.000Z", "2026-11-23T25:00:00.000Z", "2026-11-23T11:00:00Z", "2026-11-23 11:00:00.000Z",
            "2026-W48-1T11:00:00.000Z", "2026-11-23T110000.00000Z", "2099-01-01T00:00:00.000Z", "0000-00-00T00:00:00.000Z",
            "2026-11-23T11:00:00.000+00:00", "entry-1795424886810-x", "entry-", "SUCCEEDED",
        ]
    ).map(lambda text: {"S": text}),
    st.sampled_from([None, {}, [], 7, "plain", {"NULL": True}, {"N": "1"}, {"S": 1}, {"S": "a", "N": "1"}, {"M": {}}, {"L": []}]),
)  # fmt: skip
NAMES = st.sampled_from(["eventType", "timestamp", "pk", "sk", "data", "accountId", *USUAL[0], "other", "data.M"])

IN_DATA = st.sampled_from(["action_intent_id", "replay_reason", "requested_by", "status"])


@st.composite
def items(draw):
    item = deepcopy(draw(st.sampled_from(USUAL)))
    for name in draw(st.lists(NAMES, max_size=2)):
        place = item
        if name == "data.M" and isinstance(item.get("data"), dict) and isinstance(item["data"].get("M"), dict):
            place = item["data"]["M"]
        member = draw(IN_DATA) if place is not item else name
        if draw(st.booleans()):
            place[member] = draw(VALUES)
        else:
            place.pop(member, None)
    return item


@given(st.lists(items(), max_size=6), st.sampled_from([None, NOW_MS]))
@settings(max_examples=300, deadline=None)
def test_the_quick_way_and_the_close_look_agree(several, latest):
    quick, closely = Ledger("ledger", latest), Closely("ledger", latest)
    for item in several:
        quick.add(item)
        closely.add(item)
    assert quick.entries == closely.entries
    assert (quick.malformed, quick.malformed_count) == (closely.malformed, closely.malformed_count)
    assert (quick.items, quick.newest) == (closely.items, closely.newest)


def test_what_the_platform_writes_goes_the_quick_way():
    assert all(Ledger("ledger")._took_usual(item) for item in USUAL)
