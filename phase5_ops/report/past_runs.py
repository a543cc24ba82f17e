"""Readiness runs of the past, newest first, from the documents that they left with their evidence.

Needs nothing of Dagster. When a run was is what it recorded: the wall clock at its beginning (run.json), else (evidence of an
earlier version) the moment that it was evaluated at; file times are never used, since anybody can set them. What must not live
here: reading AWS, comparing documents (`changes.py`).
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from phase5_ops.checklist import ROWS
from phase5_ops.clock import parse_iso
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.report.changes import figures_of
from phase5_ops.report.document import EXIT_OPEN, ReadinessDocument
from phase5_ops.text import first_few, in_one_line

SCHEMA = "phase5.readiness/v2"
_DOCUMENT, _ORIGIN = "readiness.json", "run.json"


class RunFiles(Protocol):
    """Where runs left their files: the evidence folder, or a copy of it elsewhere. `at_once`: files that are read at a time."""

    at_once: int

    def run_ids(self) -> Sequence[str]:
        """The run of every folder.

        Raises:
            OSError: the folders cannot be listed; that there are none yet is no error.
        """

    def read(self, run_id: str, name: str) -> bytes:
        """A file of a run.

        Raises:
            OSError: it cannot be read; FileNotFoundError if there is none.
        """


class EvidenceFolder:
    """The runs below the evidence folder of this machine."""

    at_once = 1

    def __init__(self, root: Path) -> None:
        """`root`: the folder that has one folder a run; it need not exist."""
        self._store = EvidenceStore(root)

    def run_ids(self) -> Sequence[str]:
        """See `RunFiles`."""
        return self._store.run_ids()

    def read(self, run_id: str, name: str) -> bytes:
        """See `RunFiles`."""
        return (self._store.run_folder(run_id) / name).read_bytes()


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that left evidence.

    Attributes:
        run_id: of the run.
        document: its readiness document; None where there is none that can be read.
        problem: why there is no document; empty if there is one.
        at: when it was; None if that is not known.
        fixed_clock: it ran under PHASE5_NOW; None if it does not say.
    """

    run_id: str
    document: ReadinessDocument | None
    problem: str = ""
    at: datetime | None = None
    fixed_clock: bool | None = None


@dataclass(frozen=True, slots=True)
class _Dated:
    """A run as it is listed, before its document is looked at; `environment` is None where nothing readable says it."""

    run_id: str
    environment: str | None
    at: datetime | None
    fixed_clock: bool | None


class PastRuns:
    """The runs of one environment, newest first; documents are read one by one, as they are asked for.

    Runs of which it is not known when they were come before all others, so that a broken one is seen however few are asked for.
    A run of which not even the environment is known is among those of every environment.
    """

    def __init__(self, files: RunFiles, environment: str) -> None:
        """Lists the runs and what tells when each was; reads no whole document of a run that recorded it.

        Raises:
            OSError: the runs cannot be listed.
        """
        self._files, self._environment = files, environment
        self._listed = {each.run_id: each for each in _newest_first(files, environment)}

    def __iter__(self) -> Iterator[PastRun]:
        return (_past(self._files, each, self._environment) for each in self._listed.values())

    @property
    def files(self) -> RunFiles:
        """Where the runs left their files."""
        return self._files

    @property
    def run_ids(self) -> Sequence[str]:
        """Every run, newest first."""
        return list(self._listed)

    @property
    def undated(self) -> Sequence[str]:
        """The runs of which it is not known when they were."""
        return [each.run_id for each in self._listed.values() if each.at is None]

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest was; None if that is not known of any."""
        return min((each.at for each in self._listed.values() if each.at is not None), default=None)

    def run(self, run_id: str) -> PastRun:
        """One of the runs.

        Raises:
            KeyError: there is no such run.
        """
        return _past(self._files, self._listed[run_id], self._environment)

    def whole_before(self, at: datetime | None, run_id: str) -> Iterator[PastRun]:
        """The runs before a moment, newest first, that have a document of all rows; `run_id` orders those of one moment."""
        for dated in self._listed.values():
            if dated.at is None or at is None or (dated.at, dated.run_id) >= (at, run_id):
                continue
            past = self.run(dated.run_id)
            if past.document is not None and past.document.covers is None:
                yield past


def previous_of(evidence_root: Path, document: ReadinessDocument) -> ReadinessDocument | None:
    """The newest earlier document of the same environment that covers all rows and can be read; None if there is none.

    Raises:
        OSError: the runs cannot be listed.
    """
    files = EvidenceFolder(evidence_root)
    own = _dated(files, document.run_id).at or _moment(document.evaluated_at)
    runs = PastRuns(files, document.environment)
    return next((past.document for past in runs.whole_before(own, document.run_id)), None)


def _newest_first(files: RunFiles, environment: str) -> list[_Dated]:
    run_ids = files.run_ids()
    if files.at_once > 1:
        with ThreadPoolExecutor(files.at_once) as pool:
            found = list(pool.map(lambda run_id: _dated(files, run_id), run_ids))
    else:
        found = [_dated(files, run_id) for run_id in run_ids]
    wanted = [each for each in found if each.environment in (environment, None)]
    undated = [each for each in wanted if each.at is None]
    dated = [(each.at, each.run_id, each) for each in wanted if each.at is not None]
    return [*undated, *(each for _, _, each in sorted(dated, key=lambda key: key[:2], reverse=True))]


class _Said(BaseModel):
    """What a file says of when and where its run was; the rest of the file becomes no objects, which is quicker."""

    environment: Any = None
    began_at: Any = None
    evaluated_at: Any = None
    fixed_now: Any = None


def _dated(files: RunFiles, run_id: str) -> _Dated:
    origin = _said(files, run_id, _ORIGIN)
    environment, began_at = origin.environment, _moment(origin.began_at)
    enough = isinstance(environment, str) and began_at is not None
    document = _Said() if enough else _said(files, run_id, _DOCUMENT)
    if not isinstance(environment, str):
        environment = document.environment
    return _Dated(
        run_id,
        environment if isinstance(environment, str) else None,
        began_at or _moment(document.evaluated_at),
        origin.fixed_now if isinstance(origin.fixed_now, bool) else None,
    )


def _said(files: RunFiles, run_id: str, name: str) -> _Said:
    """What a file says, for dating alone: nothing where it cannot be read, which reading the document reports."""
    try:
        return _Said.model_validate_json(files.read(run_id, name))
    except (OSError, ValueError):
        return _Said()


def _moment(value: object) -> datetime | None:
    try:
        return parse_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _past(files: RunFiles, dated: _Dated, environment: str) -> PastRun:
    """The run with its document, or with what is wrong with that."""
    document, problem = None, ""
    try:
        document = _document(files, dated.run_id)
    except FileNotFoundError:
        problem = f"it left no {_DOCUMENT}: it has not ended, was killed, or is of a version that wrote none"
    except OSError as error:
        problem = f"its {_DOCUMENT} cannot be read: {error.strerror or error}"
    except ValueError as error:
        problem = f"its {_DOCUMENT} cannot be used: {error}"
    if document is not None and document.environment != environment:
        problem = f"its {_DOCUMENT} is of environment {document.environment!r}, its {_ORIGIN} of {environment!r}"
        document = None
    return PastRun(dated.run_id, document, problem, dated.at, dated.fixed_clock)


def _document(files: RunFiles, run_id: str) -> ReadinessDocument:
    content = from_json(files.read(run_id, _DOCUMENT))
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise ValueError(f"its schema is {schema!r}, not {SCHEMA!r}" if schema is not None else f"it does not name {SCHEMA!r}")
    try:
        document = ReadinessDocument.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"it is not of the shape of {SCHEMA}: {in_one_line(error)}") from error
    if document.run_id != run_id:
        raise ValueError(f"it is of run {document.run_id!r}")
    entries = [*document.rows, *document.extra_checks]
    if len({entry.id for entry in entries}) != len(entries):
        raise ValueError("it has a row twice")
    for entry in entries:
        figures_of(entry)
    if document.covers is None and (missing := [row.id for row in ROWS if row.id not in {entry.id for entry in entries}]):
        raise ValueError(f"it leaves out row {first_few(missing)}, and does not say that it is of some rows only")
    if document.release is None and (
        document.decision == "OPEN" or (document.covers is None and document.exit_code == EXIT_OPEN)
    ):
        raise ValueError("it says that the gate is open, which no readiness run by itself can say")
    if _moment(document.evaluated_at) is None:
        raise ValueError(f"it was evaluated at {document.evaluated_at!r}, which is no moment")
    return document
