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

from pydantic import ValidationError
from pydantic_core import from_json

from phase5_ops.clock import parse_iso
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.report.changes import figures_of
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.text import in_one_line

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


def past_documents(evidence_root: Path, environment: str) -> Iterator[PastRun]:
    """The runs of an environment below an evidence folder: see `past_runs`."""
    return past_runs(EvidenceFolder(evidence_root), environment)


def past_runs(files: RunFiles, environment: str) -> Iterator[PastRun]:
    """The runs of an environment, newest first; documents are read one by one, as they are asked for.

    Runs of which it is not known when they were come before all others, so that a broken one is seen however few are asked for.
    A run of which not even the environment is known is among those of every environment.

    Raises:
        OSError: the runs cannot be listed.
    """
    for dated in _newest_first(files, environment):
        if (past := _past(files, dated, environment)) is not None:
            yield past


def previous_of(evidence_root: Path, document: ReadinessDocument) -> ReadinessDocument | None:
    """The newest earlier document of the same environment that covers all rows and can be read; None if there is none.

    Raises:
        OSError: the runs cannot be listed.
    """
    files = EvidenceFolder(evidence_root)
    own = _dated(files, document.run_id).at or _moment(document.evaluated_at)
    for dated in _newest_first(files, document.environment):
        if dated.at is None or own is None or (dated.at, dated.run_id) >= (own, document.run_id):
            continue
        past = _past(files, dated, document.environment)
        if past is not None and past.document is not None and past.document.covers is None:
            return past.document
    return None


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


def _dated(files: RunFiles, run_id: str) -> _Dated:
    origin = _object(files, run_id, _ORIGIN)
    began_at, fixed = _moment(origin.get("began_at")), origin.get("fixed_now")
    said = origin if began_at is not None else _object(files, run_id, _DOCUMENT)
    environment = origin.get("environment", said.get("environment"))
    return _Dated(
        run_id,
        environment if isinstance(environment, str) else None,
        began_at or _moment(said.get("evaluated_at")),
        fixed if isinstance(fixed, bool) else None,
    )


def _object(files: RunFiles, run_id: str, name: str) -> dict[str, Any]:
    """What a file says, for dating alone: nothing where it cannot be read, which reading the document reports."""
    try:
        content = from_json(files.read(run_id, name))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _moment(value: object) -> datetime | None:
    try:
        return parse_iso(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _past(files: RunFiles, dated: _Dated, environment: str) -> PastRun | None:
    """The run with its document or what is wrong with that; None if it is of another environment after all."""
    try:
        document = _document(files, dated.run_id)
    except FileNotFoundError:
        problem = f"it left no {_DOCUMENT}: it has not ended, was killed, or is of a version that wrote none"
    except OSError as error:
        problem = f"its {_DOCUMENT} cannot be read: {error.strerror or error}"
    except ValueError as error:
        problem = f"its {_DOCUMENT} cannot be used: {error}"
    else:
        if document.environment == environment:
            return PastRun(dated.run_id, document, "", dated.at, dated.fixed_clock)
        if dated.environment is None:
            return None
        problem = f"its {_DOCUMENT} is of environment {document.environment!r}, its {_ORIGIN} of {dated.environment!r}"
    return PastRun(dated.run_id, None, problem, dated.at, dated.fixed_clock)


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
    if _moment(document.evaluated_at) is None:
        raise ValueError(f"it was evaluated at {document.evaluated_at!r}, which is no moment")
    return document
