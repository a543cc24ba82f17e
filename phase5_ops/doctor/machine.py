"""This machine: the state folder and its disk, Dagster's storage, and the daemon that looks for the gate."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from phase5_ops.clock import iso, parse_iso
from phase5_ops.doctor.examination import Installation, note, ok, problem, unknown
from phase5_ops.gate.candidates.notices import RECORDS, look_at_runs, runs_that_count
from phase5_ops.gate.inputs.install_check import Checked
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import StateError
from phase5_ops.gate.state.notice_box import RUNS
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.report.lateness import late_daemon, late_run
from phase5_ops.settings import in_sandbox

if TYPE_CHECKING:
    from dagster import DagsterInstance

#: Of the state table, to see what happened last.
IAM_ACTIONS = ("dynamodb:GetItem", "dynamodb:Query")

#: What is said where the gate is alive; the metric filters of deploy/template.yaml look for these words.
LOOKED = "the gate's daemon looked in the last half hour"
RUN_ENDED = "a readiness run of the whole checklist ended in the last day"

_LEAST_FREE = 2**30  # bytes: some 400 runs, or a dozen of a platform with 10,000 tenants
_OF_A_CONTAINER = frozenset({"overlay", "tmpfs"})  # file systems that go with it
_MOUNTS = Path("/proc/mounts")
_DAEMON = "start Dagster's daemon: phase5 ui, or the service of deploy/template.yaml"

WhyUnusable = Callable[[Path], str | None]
OpenDagster = Callable[[Path], AbstractContextManager["DagsterInstance"]]


def state_folder_of(why_unusable: WhyUnusable) -> Callable[[Installation], Iterator[Checked]]:
    """A look at the state folder, with the function that says why a folder cannot be written."""

    def look(installation: Installation) -> Iterator[Checked]:
        folder = installation.settings.state_dir.expanduser().resolve()
        if not folder.is_dir():
            yield problem(f"the state folder {folder} is not there", "run phase5 init, or name another with PHASE5_STATE_DIR")
            return
        why = why_unusable(folder)
        yield problem(f"the state folder {folder} cannot be written: {why}") if why else ok(f"{folder} can be written")
        free = shutil.disk_usage(folder).free
        text = f"{free / 2**30:,.1f} GiB are free for it"
        yield (ok(text) if free >= _LEAST_FREE else problem(text, "free 1 GiB at least; docs/histories.md says what is kept"))
        kind = file_system(folder, _MOUNTS.read_text(encoding="utf-8")) if _MOUNTS.exists() else None
        if kind in _OF_A_CONTAINER:
            text = f"it is on {kind}, which goes with its container or at a restart; rows rest on histories that are kept there"
            yield note(text, "mount a volume that lasts")

    return look


def file_system(folder: Path, mounts: str) -> str | None:
    """The kind of file system that holds a folder, by the text of /proc/mounts; None where it does not say."""
    found: dict[Path, str] = {}
    for line in mounts.splitlines():
        _, place, kind, *_ = line.split(" ")
        found[Path(place.replace("\\040", " "))] = kind
    return next((found[each] for each in (folder, *folder.parents) if each in found), None)


def dagster_of(open_dagster: OpenDagster) -> Callable[[Installation], Iterator[Checked]]:
    """A look at Dagster's storage and its daemons, with the function that opens the instance of a state folder."""

    def look(installation: Installation) -> Iterator[Checked]:
        home = installation.settings.state_dir.expanduser().resolve()
        if not (home / "dagster.yaml").is_file():
            yield problem(f"{home} has no dagster.yaml, so nothing was ever run here", "run phase5 init")
            return
        os.environ["DAGSTER_HOME"] = str(home)  # as every command has it
        if missing := sorted(_asked_for(home / "dagster.yaml") - os.environ.keys()):
            text = f"dagster.yaml asks for variables that are not set: {', '.join(missing)}"
            yield problem(text, "set them as deploy/template.yaml does")
            return
        with open_dagster(home) as instance:
            runs = instance.get_runs_count()
            yield ok(f"Dagster's storage answers ({type(instance.run_storage).__name__}, {runs:,} runs)")
            yield from _daemons(instance)
            yield from _switched_off(instance, DagsterNames.of(installation.settings))

    return look


def _asked_for(path: Path) -> set[str]:
    """The environment variables that a dagster.yaml names, as Dagster has them: `{env: NAME}`."""
    return set(re.findall(r"\benv:\s*[\"']?(\w+)", path.read_text(encoding="utf-8")))


def _daemons(instance: "DagsterInstance") -> Iterator[Checked]:
    """The heartbeats of the daemons that this instance needs."""
    from dagster._daemon.controller import get_daemon_statuses  # Dagster's own command for health checks asks the same

    statuses = get_daemon_statuses(instance, instance.get_required_daemon_types())
    silent = {kind: status.last_heartbeat for kind, status in sorted(statuses.items()) if not status.healthy}
    if never := [kind for kind, beat in silent.items() if beat is None]:
        yield problem(f"daemons of Dagster that never gave a sign here: {', '.join(never)}", _DAEMON)
    for kind, beat in silent.items():
        if beat is not None:
            last = iso(datetime.fromtimestamp(beat.timestamp, UTC))
            errors = "; ".join(each.message.strip().splitlines()[0] for each in beat.errors or () if each.message.strip())
            yield problem(f"Dagster's daemon {kind} gave its last sign at {last}{errors and f', with errors: {errors}'}", _DAEMON)
    if not statuses:
        yield unknown("this instance of Dagster asks for no daemon")
    elif not silent:
        yield ok(f"Dagster's daemons are alive: {', '.join(sorted(statuses))}")


def _switched_off(instance: "DagsterInstance", names: DagsterNames) -> Iterator[Checked]:
    """Sensors and schedules that somebody switched off in the UI; all are on from the start. Others' are left to their doctor."""
    for state in instance.all_instigator_state():
        location = state.origin.repository_origin.code_location_origin.location_name
        if state.status.value == "STOPPED" and (names.beside_others is None or location == names.location):
            kind = state.instigator_type.value.lower()
            yield problem(f"{kind} {state.instigator_name} is switched off", "switch it on in the UI")


def look_at_gate(installation: Installation) -> Iterator[Checked]:
    """When the daemon looked last for the gate, and when a readiness run ended, by the state table: on any machine."""
    session = installation.session()
    try:
        run, daemon = what_is_late(session, datetime.now(UTC))
    except (StateError, ValueError) as error:
        yield unknown(f"whether a readiness run has ended lately, and whether the gate's daemon runs, is not known: {error}")
        return
    yield problem(daemon, _DAEMON) if daemon else ok(LOOKED)
    yield problem(run, "phase5 check makes one") if run else ok(RUN_ENDED)


def what_is_late(session: GateSession, now: datetime) -> tuple[str | None, str | None]:
    """What is said of a readiness run and of a look of the daemon that have not happened for too long; None for what has.

    Raises:
        StateError: the state table cannot be read.
        ValueError: an item of it is no record.
    """
    environment = session.settings.environment
    records = islice(session.records.newest_first(environment), RECORDS)
    found = runs_that_count(records, sandbox=in_sandbox(session.settings))
    run = late_run(look_at_runs(found, session.settings.gate).ended_at, now)
    seen = session.notices.watched(environment, RUNS).seen
    return run, late_daemon(parse_iso(str(seen["looked_at"])) if "looked_at" in seen else None, now)
