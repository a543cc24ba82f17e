"""No sequence of removing, cutting off, replacing or editing a history leaves a row passing until a person accepts that."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.evidence.histories import (
    LEDGER,
    LEDGER_HISTORY,
    LEDGER_TABLE,
    RESILIENCE_TABLE,
    RUN,
    RUN_HISTORY,
    STATE_TABLE,
    Accepted,
    Break,
    Chain,
    Continuity,
    HistoryCode,
    Present,
    Standing,
    breaks,
    standing_now,
    with_breaks,
)
from phase5_ops.verdict import Verdict, conclude

OF_LEDGER = f"{LEDGER_HISTORY} table-1"
ROWS = {RUN_HISTORY: (RUN, RESILIENCE_TABLE), OF_LEDGER: (LEDGER, LEDGER_TABLE)}


def chain(entries: list[int]) -> Chain:
    hashes: list[str] = []
    for entry in entries:
        hashes.append(hashlib.sha256(f"{hashes[-1:]}{entry}".encode()).hexdigest())
    return Chain(tuple(hashes))


def present(files: dict[str, list[int]], tables: dict[str, str] | None = None, **more) -> Present:
    return Present({name: chain(entries) for name, entries in files.items() if entries}, tables or {}, **{"records": {}, **more})


def verdict(found: tuple[Break, ...], rests_on) -> Verdict:
    passing = conclude(judged=1, summary="fine", findings=())
    return with_breaks(passing, Continuity((), found), rests_on).verdict


class World:
    """A state folder with two histories, the tables they are about, and what the last run left of where they stood."""

    def __init__(self) -> None:
        self.files = {RUN_HISTORY: [], OF_LEDGER: []}
        self.tables = {RESILIENCE_TABLE: "r-0", LEDGER_TABLE: "l-0", STATE_TABLE: "s-0"}
        self.copies: list[dict[str, list[int]]] = []
        self.next = 0
        self.earlier: tuple[Standing, ...] = ()
        self.accepted: set[str] = set()
        self.known = {name: list(entries) for name, entries in self.files.items()}
        self.known_tables = dict(self.tables)
        self.lost = False  # told from the content alone, not from hashes

    def new(self) -> int:
        self.next += 1
        return self.next

    def run(self) -> tuple[Break, ...]:
        """A readiness run: it looks back, writes, and ends."""
        self.lost |= any(self.files[name][: len(entries)] != entries for name, entries in self.known.items())
        self.lost |= self.tables != self.known_tables
        found = breaks(self.earlier, present(self.files, self.tables), self.accepted)
        for entries in self.files.values():
            entries.append(self.new())
        self.earlier = (standing_now(found, self.earlier, present(self.files, self.tables), (0, "")),)
        self.known = {name: list(entries) for name, entries in self.files.items()}
        self.known_tables = dict(self.tables)
        self.copies.append({name: list(entries) for name, entries in self.files.items()})
        return found

    def accept(self) -> None:
        self.accepted |= {each.id for standing in self.earlier for each in standing.breaks}
        self.lost = False


NAMES = st.sampled_from([RUN_HISTORY, OF_LEDGER])
STEPS = st.one_of(
    st.just(("run",)),
    st.just(("accept",)),
    st.tuples(st.just("remove"), NAMES),
    st.tuples(st.just("cut"), NAMES, st.integers(0, 5)),
    st.tuples(st.just("replace"), NAMES, st.integers(1, 6)),
    st.tuples(st.just("put back"), NAMES, st.integers(0, 5)),
    st.tuples(st.just("edit"), NAMES, st.integers(0, 5)),
    st.tuples(st.just("take out"), NAMES, st.integers(0, 5)),
    st.tuples(st.just("table"), st.sampled_from([RESILIENCE_TABLE, LEDGER_TABLE, STATE_TABLE])),
)


def attack(world: World, step: tuple) -> None:
    what, *about = step
    if what == "table":
        world.tables[about[0]] = f"new-{world.new()}"
        return
    name, number = about[0], about[1] if len(about) > 1 else 0
    entries = world.files[name]
    if what == "remove":
        world.files[name] = []
    elif what == "cut":
        del entries[number:]
    elif what == "replace":
        world.files[name] = [world.new() for _ in range(number)]
    elif what == "put back" and number < len(world.copies):
        world.files[name] = list(world.copies[number][name])
    elif what == "edit" and number < len(entries):
        entries[number] = world.new()
    elif what == "take out" and number < len(entries):
        del entries[number]


@given(st.lists(STEPS, max_size=14))
def test_what_was_lost_closes_until_it_is_accepted_and_nothing_else_does(steps):
    world = World()
    world.run()
    for step in [*steps, ("run",), ("run",)]:
        if step[0] == "run":
            found = world.run()
            closed = {rests_on: verdict(found, rests_on) for rests_on in ROWS.values()}
            assert (set(closed.values()) != {Verdict.PASS}) == world.lost, (steps, found)
            assert set(closed.values()) <= {Verdict.PASS, Verdict.INCONCLUSIVE}
        elif step[0] == "accept":
            world.accept()
        else:
            attack(world, step)


def test_an_acceptance_covers_exactly_the_heads_it_names():
    world = World()
    world.run()
    world.files[RUN_HISTORY] = []
    (first,) = world.run()
    (carried,) = world.run()
    assert (first.code, carried.lost, carried.subject) == ("history_starts_anew", first.lost, RUN_HISTORY)
    world.accept()
    assert world.run() == ()
    world.files[RUN_HISTORY] = []  # again
    (again,) = world.run()
    assert again.id not in world.accepted
    for change in ({"lost": "x"}, {"found": "x"}, {"subject": "x"}, {"about": LEDGER}, {"code": "history_not_continued"}):
        assert replace(carried, **change).id != carried.id


def test_each_break_has_its_code_and_closes_the_rows_that_rest_on_it():
    world = World()
    world.run()
    world.run()
    earlier = world.earlier
    cases = {
        "history_starts_anew": present({**world.files, RUN_HISTORY: [99]}, world.tables),
        "history_not_continued": present({**world.files, RUN_HISTORY: world.files[RUN_HISTORY][:1]}, world.tables),
        "table_made_anew": present(world.files, {**world.tables, RESILIENCE_TABLE: "r-1"}),
    }
    for code, now in cases.items():
        (found,) = breaks(earlier, now)
        assert (found.code, found.finding().verdict) == (code, Verdict.INCONCLUSIVE)
        assert (verdict((found,), ROWS[RUN_HISTORY]), verdict((found,), ROWS[OF_LEDGER])) == (Verdict.INCONCLUSIVE, Verdict.PASS)
    gone = present(world.files, {**world.tables, RESILIENCE_TABLE: ""})
    assert [each.code for each in breaks(earlier, gone)] == ["table_made_anew"]
    unread = present(world.files, {name: identity for name, identity in world.tables.items() if name == STATE_TABLE})
    assert breaks(earlier, unread) == ()  # the row says itself that the table could not be read
    assert standing_now((), earlier, unread, (0, "")).tables == world.tables


def test_the_state_table_concerns_every_row_that_rests_on_a_history():
    (standing,) = (Standing(tables={STATE_TABLE: "s-0"}, record=(3, "sha256:x")),)
    (anew,) = breaks((standing,), present({}, {STATE_TABLE: "s-1"}, newest=3))
    (gone,) = breaks((standing,), present({}, newest=2))
    (exchanged,) = breaks((standing,), present({}, records={3: "sha256:y"}, newest=4))
    assert [each.code for each in (anew, gone, exchanged)] == ["table_made_anew", "run_records_gone", "run_records_gone"]
    for each in (anew, gone, exchanged):
        assert {verdict((each,), rests_on) for rests_on in ROWS.values()} == {Verdict.INCONCLUSIVE}
    assert breaks((standing,), present({}, records={3: "sha256:x"}, newest=9)) == ()
    assert breaks((standing,), present({}, records=None)) == ()


def test_where_nothing_tells_how_things_stood_nothing_passes_until_the_state_table_is_read():
    (unknown,) = breaks((), present({RUN_HISTORY: [1]}, records=None))
    assert (unknown.code, unknown.finding().verdict) == ("history_unconfirmed", Verdict.INCONCLUSIVE)
    later = standing_now((unknown,), (), present({RUN_HISTORY: [1, 2]}), (0, ""))
    assert breaks((later,), present({RUN_HISTORY: [1, 2]}, records=None), {unknown.id}) == (unknown,)
    assert breaks((later,), present({RUN_HISTORY: [1, 2]})) == ()
    assert breaks((), present({})) == ()  # the first run of all


def test_a_history_that_contradicts_itself_fails_and_cannot_be_accepted():
    now = Present({RUN_HISTORY: Chain(("a", "b"), ("line 2 of the journal is not what was written",))}, records={})
    (found,) = breaks((), now)
    assert (found.code, found.finding().verdict) == ("history_altered", Verdict.FAIL)
    assert breaks((), now, {found.id}) == (found,)
    mended = Present({RUN_HISTORY: Chain(("a", "b"))}, records={})
    assert breaks((standing_now((found,), (), now, (0, "")),), mended) == ()


def test_what_the_table_and_what_the_evidence_tell_must_both_be_continued():
    world = World()
    world.run()
    table = world.earlier[0]
    world.run()
    evidence = world.earlier[0]
    assert breaks((table, evidence), present(world.files, world.tables)) == ()
    cut = present({name: entries[:1] for name, entries in world.files.items()}, world.tables)
    assert breaks((table,), cut) == ()
    assert {each.code for each in breaks((table, evidence), cut)} == {"history_not_continued"}


def test_a_standing_is_kept_whole_as_json():
    world = World()
    world.run()
    world.files[RUN_HISTORY] = []
    world.run()
    (standing,) = world.earlier
    assert standing.breaks
    assert Standing.of_json(json.loads(json.dumps(standing.as_json()))) == standing


@pytest.mark.parametrize(
    "change",
    [{"heads": {"x": {}}}, {"breaks": [{"code": "x", "about": "", "subject": "", "lost": ""}]}, {"record": [1]}, {"tables": []}],
)
def test_what_is_no_standing_is_refused(change):
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        Standing.of_json({**Standing().as_json(), **change})


def test_who_accepted_is_a_fact_of_the_rows_that_it_is_about():
    judgement = conclude(judged=1, summary="fine", findings=(), facts={"breakers": 1})
    continuity = Continuity((), (), (Accepted("a", frozenset({RUN}), "accepted by alice"),))
    assert with_breaks(judgement, continuity, (RUN,)).facts == {"breakers": 1, "history_accepted": "accepted by alice"}
    assert with_breaks(judgement, continuity, (LEDGER,)) == judgement


def test_every_code_is_produced_here():
    assert {code.code for code in HistoryCode.all()} == {
        "history_starts_anew",
        "history_not_continued",
        "history_altered",
        "table_made_anew",
        "run_records_gone",
        "history_unconfirmed",
    }
