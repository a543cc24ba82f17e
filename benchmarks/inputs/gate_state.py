"""A state folder and a state table as a gate has them that has long been working: past runs, and candidates to be signed.

One real readiness run of a candidate is made on a real SQLite instance; then its rows (run, tags, events of the run's own file
and of the index, check records) are cloned: as many past runs as asked for, a day apart from the candidates; a run of its own,
with evidence and signed record, for each candidate that waits for signatures.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg

from phase5_ops.build import WORDS, build_defs
from phase5_ops.commands.in_process import QUIET
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import DIGEST_TAG, RELEASE_TAG
from phase5_ops.files import sha256_of
from phase5_ops.gate.defs.sensor import _WORKED_A_TICK, Tick, candidate_tags, run_tick
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.settings import Settings

DAY = timedelta(days=1)


class Clones:
    """Clones of one run in the SQLite files of a Dagster instance."""

    def __init__(self, home: Path, run_id: str) -> None:
        self._run_id = run_id
        self._runs_file = home / "history" / "runs.db"
        self._index = home / "history" / "runs" / "index.db"
        self._home = home

    def add(self, ids: list[str], tags: Callable[[int], dict[str, str]], *, back: timedelta, events: bool) -> None:
        """Adds a run for each id, one second apart and ended `back` ago; with its own file of events where asked for."""
        now = datetime.now(UTC) - back
        with closing(sqlite3.connect(self._runs_file)) as runs, closing(sqlite3.connect(self._index)) as index:
            self._runs(runs, ids, tags, now)
            for table, text in (("event_logs", "event"), ("asset_check_executions", "evaluation_event")):
                self._copy(index, table, ids, "" if events else text)
        if events:
            for run_id in ids:
                self._own_file(run_id)

    def _runs(self, file: sqlite3.Connection, ids: list[str], tags: Callable[[int], dict[str, str]], now: datetime) -> None:
        columns, row = _row(file, "SELECT * FROM runs WHERE run_id = ?", self._run_id)
        own = file.execute("SELECT key, value FROM run_tags WHERE run_id = ?", (self._run_id,)).fetchall()

        def copies() -> Iterator[list[object]]:
            for number, run_id in enumerate(ids):
                at = now - timedelta(seconds=len(ids) - number)
                changed = {
                    "id": None,
                    "run_id": run_id,
                    "run_body": _with_tags(row["run_body"].replace(self._run_id, run_id), tags(number)),
                    "start_time": at.timestamp() - 5,
                    "end_time": at.timestamp(),
                    "create_timestamp": _stamp(at),
                    "update_timestamp": _stamp(at),
                }
                yield [changed.get(name, row[name]) for name in columns]

        _insert(file, "runs", columns, copies())
        pairs = (
            (run_id, key, value) for number, run_id in enumerate(ids) for key, value in {**dict(own), **tags(number)}.items()
        )
        _insert(file, "run_tags", ["run_id", "key", "value"], pairs)
        file.commit()

    def _copy(self, file: sqlite3.Connection, table: str, ids: list[str], left_out: str) -> None:
        """Clones the rows of the run, its id replaced wherever it stands; `left_out` is a column whose texts are not copied."""
        found = file.execute(f"SELECT * FROM {table} WHERE run_id = ? LIMIT 1", (self._run_id,))
        columns = [name for name, *_ in found.description if name != "id"]
        types = dict(file.execute(f"SELECT name, type FROM pragma_table_info('{table}')").fetchall())
        wanted = (
            "''"
            if name == left_out
            else f"replace({name}, :old, :new)"
            if "CHAR" in types[name] or "TEXT" in types[name]
            else name
            for name in columns
        )
        copy = f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(wanted)} FROM {table} WHERE run_id = :old"
        file.executemany(copy, ({"old": self._run_id, "new": run_id} for run_id in ids))
        file.commit()

    def _own_file(self, run_id: str) -> None:
        with (
            closing(sqlite3.connect(self._index.with_name(f"{self._run_id}.db"))) as own,
            closing(sqlite3.connect(self._index.with_name(f"{run_id}.db"))) as file,
        ):
            own.backup(file)  # a copy of the file alone lacks what stands in its write-ahead log
            file.execute("UPDATE event_logs SET run_id = ?, event = replace(event, ?, ?)", (run_id, self._run_id, run_id))
            file.commit()


def _row(file: sqlite3.Connection, query: str, *values: str) -> tuple[list[str], dict[str, str]]:
    found = file.execute(query, values)
    columns = [name for name, *_ in found.description]
    return columns, dict(zip(columns, found.fetchone(), strict=True))


def _insert(file: sqlite3.Connection, table: str, columns: list[str], rows: object) -> None:
    marks = ", ".join("?" for _ in columns)
    file.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # type: ignore[arg-type]


def _with_tags(body: str, tags: dict[str, str]) -> str:
    run = dg.deserialize_value(body, dg.DagsterRun)
    return dg.serialize_value(run.with_tags({**run.tags, **tags}))


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def release(number: int, kind: str) -> Release:
    """A release of the sandbox."""
    return Release(f"{kind}-{number:05d}", "sha256:" + f"{number:064x}", "sandbox")


class GateState:
    """One state folder with its Dagster, and the sandbox's state table."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._settings, self._instance = settings, instance
        self._kept = check_state.KeptResults()

    def sources(self) -> DecidingSession:
        """As the sensor opens them for each tick."""
        return DecidingSession(open_run(self._settings, "tick"), instance=self._instance, kept=self._kept)

    def candidate(self, number: int, kind: str, fate: Fate = Fate.PENDING) -> Candidate:
        """A registered candidate."""
        at = datetime.now(UTC)
        made = Candidate(release(number, kind), 1, Fate.PENDING, at, at + timedelta(days=7), "benchmark")
        state = self.sources().state
        state.list_open(made.release, at)
        state.register(made)
        if fate is not Fate.PENDING:
            state.set_fate(made, fate)
        return made

    def first_run(self) -> str:
        """A real readiness run of a candidate that the sensor asked for, to READY_TO_SIGN; its id."""
        self.candidate(0, "first")
        (request,) = run_tick(self.sources(), None, datetime.now(UTC), WORDS).requests
        job = build_defs(settings=self._settings).resolve_job_def(str(request.job_name))
        run_id = job.execute_in_process(run_config=QUIET, tags=request.tags, instance=self._instance).run_id
        tick = run_tick(self.sources(), None, datetime.now(UTC), WORDS)
        if not any("FREEZE" in line for line in tick.lines):
            raise SystemExit(f"the sandbox is not ready to sign: {tick.lines}")
        return run_id

    def record(self, run_id: str, ids: list[str], digests: list[str]) -> None:
        """Records clones of a run in the state table, signed, as each run does when it ends."""
        session = self.sources()
        if not hasattr(session, "records"):  # an earlier tree (`--against`) asks Dagster alone
            return
        from phase5_ops.gate.attestation.keys import GATE
        from phase5_ops.gate.attestation.run_record import RECORD_TYPE
        from phase5_ops.gate.signing.kms import load_key, sign

        key = load_key(session.reader, self._settings.signing, GATE)

        def signed(payload: bytes) -> tuple[str, bytes]:
            made = sign(session.reader, key, payload, RECORD_TYPE)
            return made.key_id, made.signature

        model = next(each for each in session.records.newest_first("sandbox") if each.found.run_id == run_id).found
        for other, digest in zip(ids, digests, strict=True):
            session.records.append(replace(model, run_id=other, release_digest=digest), signed)

    def freeze(self, made: list[Candidate]) -> None:
        """Ticks until each candidate had its turn: their statements are frozen then, as they are while people sign.

        Raises:
            SystemExit: a candidate is not ready to sign; a tick would not do with it what is measured.
        """
        for _ in range(0, len(made), _WORKED_A_TICK):
            run_tick(self.sources(), None, datetime.now(UTC), WORDS)
        state = self.sources().state
        unready = [each.release.name for each in made if state.statement(each.release, each.series) is None]
        if unready or (blocked := self.blocked()):
            raise SystemExit(f"not ready to sign: {unready or blocked}")

    def blocked(self) -> list[str]:
        """What a tick says against the candidates that it works on, but that signatures are missing."""
        lines = self.tick()[0].lines
        return [line for line in lines if ": WAIT: " in line and " UNSIGNED signature_missing " not in line]

    def tick(self) -> tuple[Tick, int]:
        """A tick as the daemon makes it, and how many AWS calls it made."""
        sources = self.sources()
        made = run_tick(sources, None, datetime.now(UTC), WORDS)
        return made, sum(sources.run.reader.meter.calls.values())


def evidence_for(settings: Settings, run_id: str, ids: list[str]) -> None:
    """The evidence folder of the run under further ids; the same files, linked."""
    root = settings.state_dir / "evidence"
    for other in ids:
        shutil.copytree(root / run_id, root / other, copy_function=os.link)


def long_working(settings: Settings, instance: dg.DagsterInstance, past: int, waiting: int) -> GateState:
    """A gate with this many past runs, and this many candidates whose frozen statements wait for signatures."""
    state = GateState(settings, instance)
    session = state.sources()
    pin_keys(session.reader, settings, session.state, datetime.now(UTC))
    run_id = state.first_run()
    clones = Clones(settings.state_dir, run_id)
    old = {RELEASE_TAG: "past", DIGEST_TAG: sha256_of(b"past")}
    clones.add([str(uuid4()) for _ in range(past)], lambda _: old, back=DAY, events=False)
    made = [state.candidate(number, "ready", Fate.READY_TO_SIGN) for number in range(waiting)]
    ids = [str(uuid4()) for _ in made]
    clones.add(ids, lambda number: candidate_tags(made[number], 1), back=timedelta(0), events=True)
    evidence_for(settings, run_id, ids)
    state.record(run_id, ids, [candidate.release.digest for candidate in made])
    state.freeze(made)
    return state
