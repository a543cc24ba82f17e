"""How long a tick of the gate's sensor takes, by past runs and candidates: `python benchmarks/gate_tick.py [past runs ...]`.

A sandbox serves in a process of its own. One real readiness run of a candidate is made on a real SQLite instance; then its rows
(run, tags, events of the run's own file and of the index, check records) are cloned: as many past runs as asked for, a day
apart from the candidates; a run of its own, with evidence, for each candidate that waits for signatures. Prints a line for each
number of past runs and kind of candidates: seconds of a tick (median of five, each with sources of its own as the daemon's), CPU
seconds of this process, seconds spent in AWS calls, which here are moto's, the calls, and the first line that the tick said.
"""

import os
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import dagster as dg

from phase5_ops.build import WORDS, build_defs
from phase5_ops.commands.state_folder import prepare_state_folder
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import DIGEST_TAG, RELEASE_TAG
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.run_record import RECORD_TYPE
from phase5_ops.gate.defs.sensor import Tick, candidate_tags, run_tick
from phase5_ops.gate.inputs import dagster_records as check_state
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.records import Release
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.sandbox.process import sandbox_process
from phase5_ops.settings import Settings, load_settings

SIZES = (10, 1_000, 10_000)
MANY = 100
REPEATS = 5
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
        target = self._index.with_name(f"{run_id}.db")
        shutil.copyfile(self._index.with_name(f"{self._run_id}.db"), target)
        with closing(sqlite3.connect(target)) as file:
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


class Bench:
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
        job = build_defs(settings=self._settings).resolve_job_def(request.job_name)
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        run_id = job.execute_in_process(run_config=quiet, tags=request.tags, instance=self._instance).run_id
        tick = run_tick(self.sources(), None, datetime.now(UTC), WORDS)
        if not any("FREEZE" in line for line in tick.lines):
            raise SystemExit(f"the sandbox is not ready to sign: {tick.lines}")
        return run_id

    def record(self, run_id: str, ids: list[str], digests: list[str]) -> None:
        """Records clones of a run in the state table, signed, as each run does when it ends."""
        session = self.sources()
        key = load_key(session.reader, self._settings.signing, GATE)

        def signed(payload: bytes) -> tuple[str, bytes]:
            made = sign(session.reader, key, payload, RECORD_TYPE)
            return made.key_id, made.signature

        model = next(each for each in session.records.newest_first("sandbox") if each.found.run_id == run_id).found
        for other, digest in zip(ids, digests, strict=True):
            session.records.append(replace(model, run_id=other, release_digest=digest), signed)

    def freeze(self, count: int) -> None:
        """One tick that works on all candidates: their statements are frozen then, as they are while people sign."""
        with patch("phase5_ops.gate.defs.sensor._WORKED_A_TICK", count):
            run_tick(self.sources(), None, datetime.now(UTC), WORDS)

    def measure(self, past: int, what: str) -> None:
        """Prints one line."""
        seconds, cpu, aws, calls, said = [], [], [], 0, ""
        for _ in range(REPEATS):
            sources = self.sources()
            began, cpu_began = time.perf_counter(), time.process_time()
            tick: Tick = run_tick(sources, None, datetime.now(UTC), WORDS)
            seconds.append(time.perf_counter() - began)
            cpu.append(time.process_time() - cpu_began)
            meter = sources.run.reader.meter
            aws.append(sum(meter.seconds.values()))
            calls, said = sum(meter.calls.values()), (tick.lines or ["nothing"])[0]
        print(
            f"{past:>6} past runs  {what:<24} {statistics.median(seconds):7.3f} s (from {min(seconds):.3f} to {max(seconds):.3f})"
            f"  CPU {statistics.median(cpu):6.3f} s  AWS {statistics.median(aws):6.3f} s in {calls:>4} calls  {said[:70]}",
            flush=True,
        )

    def close_all(self) -> None:
        """Every open candidate leaves the list."""
        state = self.sources().state
        for candidate, mark in state.open_candidates("sandbox"):
            if candidate.fate in (Fate.PENDING, Fate.READY_TO_SIGN):
                state.set_fate(candidate, Fate.ABORTED)
            state.unlist(candidate.release, mark, datetime.now(UTC))


def evidence_for(settings: Settings, run_id: str, ids: list[str]) -> None:
    """The evidence folder of the run under further ids; the same files, linked."""
    root = settings.state_dir / "evidence"
    for other in ids:
        shutil.copytree(root / run_id, root / other, copy_function=os.link)


def main(sizes: list[int]) -> None:
    """Measures each size, smallest first, in one state folder that grows."""
    with tempfile.TemporaryDirectory(prefix="phase5-gate-tick-") as folder, sandbox_process("healthy") as exports:
        os.environ.update(exports)
        os.environ["PHASE5_STATE_DIR"] = str(prepare_state_folder(Path(folder)))
        settings = load_settings()
        with dg.DagsterInstance.get() as instance:
            bench = Bench(settings, instance)
            session = bench.sources()
            pin_keys(session.reader, settings, session.state, datetime.now(UTC))
            run_id = bench.first_run()
            clones = Clones(Path(folder), run_id)
            done = 0
            for size in sorted(sizes):
                ids = [str(uuid4()) for _ in range(size - done)]
                began = time.perf_counter()
                old = {RELEASE_TAG: "past", DIGEST_TAG: sha256_of(b"past")}
                clones.add(ids, lambda _, tags=old: tags, back=DAY, events=False)
                done = size
                print(f"cloned {len(ids)} runs in {time.perf_counter() - began:.1f} s", flush=True)
                measure_size(bench, clones, settings, run_id, size)


def measure_size(bench: Bench, clones: Clones, settings: Settings, run_id: str, past: int) -> None:
    """The kinds of candidates, with this many past runs."""
    bench.close_all()
    bench.measure(past, "no candidate")
    for count in (1, MANY):
        kind = f"ready-{past}-{count}"
        made = [bench.candidate(number, kind, Fate.READY_TO_SIGN) for number in range(count)]
        ids = [str(uuid4()) for _ in made]
        clones.add(ids, lambda number, made=made: candidate_tags(made[number], 1), back=timedelta(0), events=True)
        evidence_for(settings, run_id, ids)
        bench.record(run_id, ids, [candidate.release.digest for candidate in made])
        bench.freeze(count)
        bench.measure(past, f"{count} READY_TO_SIGN")
        bench.close_all()
    for policy in ("queue", "supersede"):
        for number in range(MANY):
            bench.candidate(number, f"{policy}-{past}")
        flow = settings.flow.model_copy(update={"newer_candidate": policy})
        chosen = Bench(settings.model_copy(update={"flow": flow}), bench.sources().instance)
        chosen.measure(past, f"{MANY} PENDING, {policy}")
        bench.close_all()


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or list(SIZES))
