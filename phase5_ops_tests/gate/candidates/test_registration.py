"""What anybody may post as a registration, and what comes of it in the state table."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.gate.candidates.registration import NotARegistration, apply, registration
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate, Registered
from phase5_ops.gate.state.table import StateTable
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow

OTHER = "sha256:" + "0" * 64
DAYS = timedelta(days=7)


@pytest.fixture
def state(aws, tmp_path) -> StateTable:
    return Desk.on(aws, tmp_path).open().state


def wanted(name="r-1.2.3", digest: object = DIGEST, at=NOW, **metadata):
    return registration(name, {"digest": digest, **metadata}, "production", at)


@pytest.mark.parametrize(
    ("partition", "metadata"),
    [
        (None, {"digest": DIGEST}),
        ("r-1", {}),
        ("../x", {"digest": DIGEST}),
        ("..", {"digest": DIGEST}),
        ("a" * 65, {"digest": DIGEST}),
        ("r-1\n", {"digest": DIGEST}),
        ("r-1", {"digest": "sha256:xyz"}),
        ("r-1", {"digest": DIGEST.upper()}),
        ("r-1", {"digest": ["sha256"]}),
        ("r-1", {"digest": DIGEST, "context/x": "a" * 257}),
        ("r-1", {"digest": DIGEST, "context/x": 1}),
        ("r-1", {"digest": DIGEST, "context/": "x"}),
        ("r-1", {"digest": DIGEST, "context/a\nb": "x"}),
        ("r-1", {"digest": DIGEST, "context/\ud800": "x"}),
        ("r-1", {"digest": DIGEST, "context/x": "a\nb"}),
        ("r-1", {"digest": DIGEST, **{f"context/{n}": "x" for n in range(11)}}),
    ],
)
def test_what_is_not_exactly_a_registration_is_refused(partition, metadata):
    with pytest.raises(NotARegistration) as refused:
        registration(partition, metadata, "production", NOW)
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 400


def test_a_registration_carries_what_the_pipeline_gave_along():
    found = wanted(**{"by": "pipe\nline", "context/pipeline_execution_id": "e-1", "supersede": True})
    assert (found.release, found.by, found.supersede) == (RELEASE, "pipe?line", True)
    assert found.context == {"pipeline_execution_id": "e-1", "supersede": "true"}


def test_the_same_pair_is_the_same_candidate_and_another_digest_is_a_conflict(state):
    how, first = apply(state, wanted(), DAYS)
    assert (how, first.series, first.deadline) == (Registered.NEW, 1, NOW + DAYS)
    assert apply(state, wanted(at=NOW + timedelta(hours=1)), DAYS) == (Registered.SAME, first)
    how, standing = apply(state, wanted(digest=OTHER, at=NOW + timedelta(hours=2)), DAYS)
    assert (how, standing.release.digest) == (Registered.CONFLICT, DIGEST)


def test_reading_all_events_again_registers_no_closed_candidate_anew(state):
    at = NOW + timedelta(microseconds=1999)  # the table keeps milliseconds
    _, first = apply(state, wanted(at=at), DAYS)
    state.set_fate(first, Fate.REJECTED, "closed")
    assert apply(state, wanted(at=at), DAYS)[0] is Registered.SAME
    assert state.candidate(RELEASE).series == 1


def test_a_closed_pair_that_is_registered_later_starts_a_new_series_where_that_is_asked_for(state):
    _, first = apply(state, wanted(), DAYS)
    state.set_fate(first, Fate.REJECTED, "closed")
    how, same = apply(state, wanted(at=NOW + timedelta(hours=1)), DAYS)
    assert (how, same.series, same.fate) == (Registered.SAME, 1, Fate.REJECTED)
    how, again = apply(state, wanted(at=NOW + timedelta(hours=1), new_series=True), DAYS)
    assert (how, again.series, again.fate) == (Registered.NEW, 2, Fate.PENDING)


def test_an_abort_closes_the_candidate_it_names_and_no_later_series(state):
    apply(state, wanted(), DAYS)
    abort = wanted(at=NOW + timedelta(hours=1), abort=True)
    assert apply(state, wanted(digest=OTHER, at=NOW + timedelta(hours=1), abort=True), DAYS)[1].fate is Fate.PENDING
    assert apply(state, abort, DAYS)[1].fate is Fate.ABORTED
    apply(state, wanted(at=NOW + timedelta(hours=2), new_series=True), DAYS)
    assert apply(state, abort, DAYS)[1].fate is Fate.PENDING
    assert apply(state, wanted(name="r-9", abort=True), DAYS) == (None, None)


def test_open_candidates_are_found_oldest_first_until_they_are_unlisted(state):
    releases = [Release(f"r-{n:03d}", DIGEST, "production") for n in range(101)]
    for index, release in enumerate(reversed(releases)):
        at = NOW + timedelta(seconds=index)
        state.list_open(release, at)
        apply(state, wanted(name=release.name, at=at), DAYS)
    listed = state.open_candidates("production")
    assert [candidate.release for candidate, _ in listed] == releases[::-1]
    oldest, mark = listed[0]
    state.unlist(oldest.release, mark, NOW + timedelta(days=1))
    assert oldest not in [candidate for candidate, _ in state.open_candidates("production")]
    assert state.open_candidates("staging") == []


def test_a_candidate_that_is_listed_again_meanwhile_is_not_unlisted(state):
    state.list_open(RELEASE, NOW)
    apply(state, wanted(), DAYS)
    ((candidate, mark),) = state.open_candidates("production")
    state.list_open(RELEASE, NOW + timedelta(hours=1))
    assert state.unlist(RELEASE, mark, NOW) == "REFUSED"
    assert [found for found, _ in state.open_candidates("production")] == [candidate]
    assert replace(candidate, fate=Fate.PENDING) == candidate


def test_a_candidate_that_was_taken_out_by_a_machine_whose_clock_was_ahead_is_listed_again(state):
    apply(state, wanted(), DAYS)
    state.list_open(RELEASE, NOW + timedelta(hours=1))
    ((_, mark),) = state.open_candidates("production")
    state.unlist(RELEASE, mark, NOW + DAYS)
    assert state.open_candidates("production") == []
    state.list_open(RELEASE, NOW + timedelta(minutes=1))
    assert [found.release for found, _ in state.open_candidates("production")] == [RELEASE]
