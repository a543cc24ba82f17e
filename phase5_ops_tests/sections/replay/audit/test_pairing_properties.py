"""What holds for any replays: valid ones pair whole however they interleave, and one fault is found as that fault alone."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.ledger import Ledger
from phase5_ops.policy import ReplayPolicy
from phase5_ops.sections.replay.audit.pairing import Pairing, pair_replays
from phase5_ops.verdict import Verdict
from phase5_ops_tests.sections.replay.audit.ledgers import MINUTE, NOW_MS, audit, entry, moved, repeated, replay, retenanted

pytestmark = pytest.mark.slow

EXAMPLES = settings(max_examples=25, deadline=None)
EVENTS = ("REPLAY_REQUESTED", "REPLAY_STARTED", "EXECUTION_STARTED", "ACTION_EXECUTED", "REPLAY_COMPLETED")

#: Milliseconds between a replay's steps: start and end within their deadlines, steps apart by more than the skew.
gaps = st.tuples(st.integers(20, 4 * MINUTE), st.integers(20, 5000), st.integers(20, 20 * MINUTE), st.integers(20, 10 * MINUTE))


@dataclass(frozen=True)
class Plan:
    """One replay: when it was requested, how long its steps take, and what it is a replay of."""

    minutes_ago: float
    gaps: tuple[int, int, int, int]
    intent: str
    reason: str
    failed: bool

    def items(self, name):
        steps, after = [], 0
        for event, gap in zip(EVENTS, (0, *self.gaps), strict=True):
            after += gap
            steps.append((event, after))
        return replay(
            minutes_ago=self.minutes_ago, failed=self.failed, name=name, steps=steps, intent=self.intent, reason=self.reason
        )


def plans(intents):
    return st.builds(
        Plan,
        minutes_ago=st.integers(100 * 1000, 6 * 24 * 60 * 1000).map(lambda thousandths: thousandths / 1000),
        gaps=gaps,
        intent=intents,
        reason=st.sampled_from(["outage", "bad data"]),
        failed=st.booleans(),
    )


def concurrent(size):
    """Replays of few intents for few reasons, close together, so that many could be taken for one another."""
    near = st.builds(
        Plan,
        minutes_ago=st.integers(120 * 1000, 123 * 1000).map(lambda thousandths: thousandths / 1000),
        gaps=gaps,
        intent=st.sampled_from(["ai_1_a", "ai_2_b"]),
        reason=st.sampled_from(["outage", "bad data"]),
        failed=st.booleans(),
    )
    return st.lists(near, min_size=1, max_size=size)


MANY = ReplayPolicy(max_replays_per_intent=10_000)


@EXAMPLES
@given(plans=concurrent(12), order=st.randoms(use_true_random=False))
def test_any_interleaving_of_valid_replays_pairs_to_as_many_whole_ones(plans, order):
    items = [item for number, plan in enumerate(plans) for item in plan.items(f"r{number}")]
    order.shuffle(items)
    judged = audit(items, policy=MANY).judged()
    assert (judged.verdict, judged.findings) == (Verdict.PASS, ())
    assert judged.facts["completed"] + judged.facts["failed"] == len(plans) == judged.facts["replays"]


@EXAMPLES
@given(plans=concurrent(10), orders=st.tuples(st.randoms(use_true_random=False), st.randoms(use_true_random=False)))
def test_pairing_does_not_depend_on_the_order_of_reading(plans, orders):
    items = [item for number, plan in enumerate(plans) for item in plan.items(f"r{number}")]
    paired = []
    for order in orders:
        order.shuffle(items)
        ledger = Ledger("t")
        for item in items:
            ledger.add(item)
        paired.append([(r.request.trace, r.execution.starts[0].trace) for r in pair_replays(ledger.entries, MANY)])
    assert paired[0] == paired[1]


@EXAMPLES
@given(times=st.lists(st.tuples(st.integers(0, 10 * MINUTE), st.booleans()), max_size=40))
def test_as_many_requests_are_paired_in_time_as_can_be(times):
    """Against the textbook's answer: augmenting paths over every admissible pair."""
    policy = ReplayPolicy()
    ledger = Ledger("t")
    at = {True: [], False: []}
    for number, (after, is_request) in enumerate(times):
        at[is_request].append(after)
        event = "REPLAY_REQUESTED" if is_request else "REPLAY_STARTED"
        ledger.add(entry(event, NOW_MS - 60 * MINUTE + after, trace=f"t{number}"))
    in_time = [r for r in pair_replays(ledger.entries, policy) if r.pairing is Pairing.EXACT]
    assert len(in_time) == _largest_matching(at[True], at[False], -policy.clock_skew_ms, 5 * MINUTE)
    assert all(-policy.clock_skew_ms <= r.execution.starts[0].at - r.request.at <= 5 * MINUTE for r in in_time)


def _largest_matching(requests, starts, low, high):
    owner = {}

    def place(request, tried):
        for index, start in enumerate(starts):
            if low <= start - requests[request] <= high and index not in tried:
                tried.add(index)
                if index not in owner or place(owner[index], tried):
                    owner[index] = request
                    return True
        return False

    return sum(place(request, set()) for request in range(len(requests)))


#: Fault -> the codes it must show as, by the event it befalls.
DROPPED = {
    "REPLAY_REQUESTED": ["replay_started_without_request"],
    "REPLAY_STARTED": ["replay_finished_without_start", "replay_not_started"],
    "EXECUTION_STARTED": ["replay_out_of_order"],
    "ACTION_EXECUTED": ["replay_contradicts_outcome"],
    "REPLAY_COMPLETED": ["replay_not_finished"],
}
TWICE = {event: ["replay_trace_reused"] for event in EVENTS[:4]} | {"REPLAY_COMPLETED": ["replay_finished_twice"]}

apart = st.lists(plans(st.uuids().map(lambda number: f"ai_{number}")), min_size=1, max_size=6, unique_by=lambda plan: plan.intent)
which = st.tuples(st.integers(0, 5), st.integers(0, 4))


def faulty(plans, chosen, change):
    """The codes found after `change` of one item of one replay, and the event that was changed."""
    victim, position = chosen[0] % len(plans), chosen[1]
    items = []
    for number, plan in enumerate(plans):
        made = plan.items(f"r{number}")
        if number == victim:
            made = [*made[:position], *change(made[position]), *made[position + 1 :]]
        items += made
    return audit(items, policy=MANY).codes(), EVENTS[position]


@EXAMPLES
@given(plans=apart, chosen=which)
def test_a_dropped_entry_is_found_as_that_alone(plans, chosen):
    codes, event = faulty(plans, chosen, lambda item: [])
    assert codes == DROPPED[event]


@EXAMPLES
@given(plans=apart, chosen=which, later=st.integers(0, 15))
def test_a_repeated_entry_is_found_as_that_alone(plans, chosen, later):
    codes, event = faulty(plans, chosen, lambda item: [item, repeated(moved(item, later))])
    assert codes == TWICE[event]


@EXAMPLES
@given(plans=apart, chosen=which, tenant=st.sampled_from(["globex", "acme#2", "ACME"]), keys_too=st.booleans())
def test_an_entry_in_another_tenant_is_found_as_that_alone(plans, chosen, tenant, keys_too):
    codes, _ = faulty(plans, chosen, lambda item: [retenanted(item, tenant) if keys_too else {**item, "pk": f"TENANT#{tenant}"}])
    assert codes == ["replay_tenant_mismatch"]


@EXAMPLES
@given(plans=apart, chosen=st.tuples(st.integers(0, 5), st.integers(0, 3)))
def test_an_entry_stamped_after_its_successor_is_found_as_that_alone(plans, chosen):
    victim, position = chosen[0] % len(plans), chosen[1]
    beyond = plans[victim].gaps[position] + 11  # the skew allowed between two functions, and one more
    codes, _ = faulty(plans, (victim, position), lambda item: [moved(item, beyond)])
    assert codes == ["replay_out_of_order"]


@EXAMPLES
@given(plans=concurrent(8), chosen=which)
def test_a_fault_among_replays_that_look_alike_is_still_one_fault(plans, chosen):
    """Which of equal requests lost its start cannot be told; that one did, can."""
    for change, expected in (
        (lambda item: [], DROPPED),
        (lambda item: [retenanted(item, "globex")], {event: ["replay_tenant_mismatch"] for event in EVENTS}),
    ):
        codes, event = faulty(plans, chosen, change)
        if event == "REPLAY_REQUESTED" and codes != expected[event]:
            assert codes in (["replay_not_started"], ["replay_out_of_order"])  # a start before the requests that are left
        else:
            assert codes == expected[event]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["S", "N", "M", "NULL", "x"]), inner, max_size=2),
    max_leaves=4,
)
odd_items = st.fixed_dictionaries(
    {},
    optional={
        "eventType": st.sampled_from([*EVENTS, "SIGNAL", " replay_started "]) | anything,
        **dict.fromkeys(["pk", "sk", "tenantId", "accountId", "traceId", "timestamp", "entryId"], anything),
        "timestamp": st.sampled_from(["2026-11-23T11:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
        | anything,
        "data": st.dictionaries(st.sampled_from(["action_intent_id", "replay_reason", "requested_by", "M"]), anything) | anything,
    },
)


@settings(max_examples=60, deadline=None)
@given(odd=st.lists(odd_items | anything, max_size=6))
def test_no_item_makes_the_audit_raise_or_hides_a_fault(odd):
    judged = audit(replay(), replay(intent="ai_9_z")[:1], odd).judged()
    assert judged.verdict in (Verdict.FAIL, Verdict.ERROR)
    assert "replay_not_started" in {finding.code for finding in judged.findings}
