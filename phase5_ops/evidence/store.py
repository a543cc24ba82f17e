"""Where a run's evidence is kept: tables as Parquet, verdicts as JSON, one folder a run, and a digest over all of it.

    <state folder>/evidence/<run id>/run.json           what made it (see `Origin`)
                                     tables/<asset>.parquet
                                     reports/<name>        pages for people made from a table
                                     verdicts/<check>.json
                                     histories.json     where histories stood at the end (see `Ended`)
                                     manifest.json      path -> SHA-256 of every file above
                                     readiness.json     what the run came to, outside the digest it names
                                     report.html        the same as a page for people; as readiness.json

Files appear whole or not at all (written beside, then renamed), so a killed run leaves no half file. With a copy target every
file is also copied there, before the step that made it succeeds. File times are never used, since anybody can set them. Evidence
of an earlier version has no run.json in its manifest and no histories.json; it is read by its own manifest. run.json says of
which version the whole folder is (`SCHEMA`), or it is of the first; one of a version that is not known is not read.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from phase5_ops.clock import Moment, iso, parse_iso
from phase5_ops.evidence.histories import Standing
from phase5_ops.files import sha256_of, write_whole
from phase5_ops.text import in_one_line

if TYPE_CHECKING:  # seconds of import time that a command without tables does not need
    from phase5_ops.evidence.table import DeclaredTable, Facts, GatheredTable, Row

Upload = Callable[[str, bytes], None]

SCHEMA = "phase5.evidence/v1"

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_DIGESTED = ("tables", "reports", "verdicts")
_ORIGIN, _ENDED, _MANIFEST = "run.json", "histories.json", "manifest.json"
_RESULT, _PAGE = "readiness.json", "report.html"
_ATTESTATIONS = "attestations"
#: What is beside the evidence and not part of it; `phase5 report RELEASE` writes release.html.
_BESIDE = re.compile(rf"(manifest|readiness)\.json|(report|release)\.html|{_ATTESTATIONS}/[^/.]+\.dsse\.json")
_NOT_OF_A_ROW = {"tables", "policy_digest"}  # what a verdict file holds beside the row's entry in the result
_REMOVED = ".removed-"  # no name of a run begins so


@dataclass(frozen=True, slots=True)
class Origin:
    """The run that made a folder of evidence, recorded there so that it is known after Dagster has forgotten the run.

    Attributes:
        job: the run's job.
        environment: what was judged.
        fixed_now: it ran under PHASE5_NOW.
        assets: those that were chosen, sorted; None for all of the job.
        began_at: wall clock, before the first table; None in evidence of an earlier version.
        account, region, identity: what was judged, and the ARN of who judged; None in evidence of an earlier version.
    """

    job: str
    environment: str
    fixed_now: bool
    assets: tuple[str, ...] | None
    began_at: Moment | None = field(default=None, compare=False)
    account: str | None = field(default=None, compare=False)
    region: str | None = field(default=None, compare=False)
    identity: str | None = field(default=None, compare=False)


_ORIGINS = TypeAdapter(Origin)


@dataclass(frozen=True, slots=True)
class Ended:
    """That a run came to its end, and where it left the histories for the next one.

    Attributes:
        environment: what was judged.
        at: wall clock.
        standing: where histories stood.
        accepted: ids of the acceptances that the run relied on.
    """

    environment: str
    at: datetime
    standing: Standing
    accepted: tuple[str, ...] = ()


class EvidenceStore:
    """The evidence folders below `root`; `upload(key, content)` also receives every file (key relative to `root`)."""

    def __init__(self, root: Path, upload: Upload | None = None) -> None:
        self._root = root
        self._upload = upload
        self._read: dict[tuple[str, DeclaredTable[Any, Any]], GatheredTable[Any, Any]] = {}

    @property
    def root(self) -> Path:
        """The folder that has one folder a run."""
        return self._root

    def run_folder(self, run_id: str) -> Path:
        """The folder of one run.

        Raises:
            ValueError: the run id could not be a folder's name.
        """
        return self._root / _checked(run_id)

    def _write(self, run_id: str, name: str, content: bytes) -> str:
        path = self.run_folder(run_id) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, content)
        if self._upload is not None:
            self._upload(f"{run_id}/{name}", content)
        return sha256_of(content)

    def table_path(self, run_id: str, asset: str) -> Path:
        """Where the table of an asset is kept."""
        return self.run_folder(run_id) / "tables" / f"{_checked(asset)}.parquet"

    def write_table(self, run_id: str, asset: str, table: "GatheredTable[Any, Any]") -> str:
        """Keeps what was gathered; returns the file's digest."""
        buffer = BytesIO()
        table.table.to_keep(table).to_parquet(buffer, index=False)
        return self._write(run_id, f"tables/{_checked(asset)}.parquet", buffer.getvalue())

    def read_table(self, run_id: str, asset: str, table: "DeclaredTable[Row, Facts]") -> "GatheredTable[Row, Facts]":
        """What was gathered, as it was kept.

        Raises:
            FileNotFoundError: the run kept no such table.
            KeyError, ValueError: the file cannot be understood.
        """
        return self.table_of(self.table_path(run_id, asset).read_bytes(), table)

    def table_of(self, content: bytes, table: "DeclaredTable[Row, Facts]") -> "GatheredTable[Row, Facts]":
        """As `table_in`; what the same content came to is kept, since several checks and the report are about one table."""
        file = (sha256_of(content), table)
        if file not in self._read:
            self._read[file] = table_in(content, table, file[0])
        return self._read[file]

    def report_path(self, run_id: str, name: str) -> Path:
        """Where a report (`tenant_cost_report.html`) is kept."""
        stem, _, suffix = name.rpartition(".")
        return self.run_folder(run_id) / "reports" / f"{_checked(stem)}.{_checked(suffix)}"

    def write_report(self, run_id: str, name: str, content: bytes) -> str:
        """Keeps a report beside the tables; returns the file's digest."""
        return self._write(run_id, f"reports/{self.report_path(run_id, name).name}", content)

    def write_verdict(self, run_id: str, check: str, verdict: Mapping[str, Any]) -> str:
        """Keeps one check's result; returns the file's digest."""
        return self._write(run_id, f"verdicts/{_checked(check)}.json", _canonical(verdict))

    def write_result(self, run_id: str, document: Mapping[str, Any]) -> None:
        """Keeps the run's readiness document beside the evidence."""
        self._write(run_id, self.document_path(run_id).name, _canonical(document))

    def document_path(self, run_id: str) -> Path:
        """Where the run's readiness document is kept."""
        return self.run_folder(run_id) / _RESULT

    def page_path(self, run_id: str) -> Path:
        """Where the run's readiness document is kept as a page for people."""
        return self.run_folder(run_id) / _PAGE

    def write_page(self, run_id: str, page: str) -> None:
        """Keeps the run's readiness document as a page for people, beside it."""
        self._write(run_id, self.page_path(run_id).name, page.encode())

    def write_origin(self, run_id: str, origin: Origin) -> None:
        """Records what makes this folder; before the first table or verdict, and once per run."""
        if not (self.run_folder(run_id) / _ORIGIN).exists():
            self._write(run_id, _ORIGIN, _canonical({"schema": SCHEMA, **_ORIGINS.dump_python(origin, mode="json")}))

    def origin(self, run_id: str) -> Origin | None:
        """What made the evidence of a run; None where nothing was gathered or judged in it.

        Raises:
            OSError, ValueError: there is evidence, but what made it is not recorded or cannot be read.
        """
        folder = self.run_folder(run_id)
        if not any((folder / part).exists() for part in _DIGESTED):
            return None
        content = _json(folder / _ORIGIN)
        _refuse_unknown(content, run_id)
        try:
            return _ORIGINS.validate_python(content)
        except ValidationError as error:
            raise ValueError(f"{_ORIGIN} of {run_id} does not say what made it: {in_one_line(error)}") from error

    def refuse_unknown_version(self, run_id: str) -> None:
        """Raises ValueError where the evidence of a run is of a version that is not known; OSError where that cannot be read."""
        with suppress(FileNotFoundError):  # as an earlier version had it
            _refuse_unknown(_json(self.run_folder(run_id) / _ORIGIN), run_id)

    def write_ended(self, run_id: str, ended: Ended) -> None:
        """Records where histories stood; the last file before the evidence is sealed for good."""
        content = {
            "environment": ended.environment,
            "ended_at": iso(ended.at),
            "accepted": list(ended.accepted),
            **ended.standing.as_json(),
        }
        self._write(run_id, _ENDED, _canonical(content))

    def ended(self, run_id: str) -> Ended | None:
        """How a run came to its end; None if that is not recorded: the run was killed, or is of an earlier version.

        Raises:
            OSError, ValueError: what it says cannot be read.
        """
        try:
            content = _json(self.run_folder(run_id) / _ENDED)
        except FileNotFoundError:
            return None
        try:
            environment, at, accepted = str(content["environment"]), parse_iso(content["ended_at"]), map(str, content["accepted"])
            return Ended(environment, at, Standing.of_json(content), tuple(accepted))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{_ENDED} of {run_id} does not say how it ended") from error

    def run_ids(self) -> list[str]:
        """The run of every folder, by name.

        Raises:
            OSError: the folders cannot be listed; that there are none yet is no error.
        """
        if not self._root.exists():
            return []
        with os.scandir(self._root) as entries:
            return sorted(e.name for e in entries if _SAFE_NAME.fullmatch(e.name) and e.is_dir(follow_symlinks=False))

    def has_attestations(self, run_id: str) -> bool:
        """Whether something that was signed is kept under the run."""
        return self.attestations(run_id).exists()

    def attestations(self, run_id: str) -> Path:
        """The folder of what was signed."""
        return self.run_folder(run_id) / _ATTESTATIONS

    def remove(self, run_id: str) -> None:
        """Removes the folder of a run, for other processes all at once; a copy elsewhere stays. A missing folder is no error.

        Raises:
            OSError: it cannot be removed.
        """
        gone = self._root / f"{_REMOVED}{run_id}"
        with suppress(FileNotFoundError):
            self.run_folder(run_id).rename(gone)
        for left in self._root.glob(f"{_REMOVED}*"):  # this one, and what a process that was killed left
            with suppress(FileNotFoundError):  # another process is removing it
                shutil.rmtree(left)

    def write_attestation(self, run_id: str, name: str, content: bytes) -> None:
        """Keeps a signed envelope (`decision.dsse.json`) of a promotion under its run; outside every evidence digest."""
        stem, _, suffix = name.partition(".")
        if suffix != "dsse.json":
            raise ValueError(f"not the name of an envelope: {name!r}")
        self._write(run_id, f"{_ATTESTATIONS}/{_checked(stem)}.{suffix}", content)

    def manifest(self, run_id: str) -> dict[str, str]:
        """Path -> digest of every file that belongs to the evidence of a run, read afresh.

        A sealed manifest without run.json is of an earlier version, which left that out.
        """
        try:
            older = _ORIGIN not in self._listed(run_id)
        except (OSError, ValueError):
            older = False
        return self._manifest(run_id, older=older)

    def _manifest(self, run_id: str, *, older: bool = False) -> dict[str, str]:
        folder = self.run_folder(run_id)
        files = [path for part in _DIGESTED for path in (folder / part).glob("[!.]*") if path.is_file()]
        files += [path for name in (_ORIGIN, _ENDED) if not older and (path := folder / name).is_file()]
        return {path.relative_to(folder).as_posix(): sha256_of(path.read_bytes()) for path in sorted(files)}

    def _listed(self, run_id: str) -> dict[str, Any]:
        """The sealed manifest.

        Raises:
            OSError, ValueError: there is none that can be read.
        """
        return self.listed_in((self.run_folder(run_id) / _MANIFEST).read_bytes(), run_id)

    def listed_in(self, manifest: bytes, run_id: str) -> dict[str, Any]:
        """Path -> digest, as a sealed manifest of a run says.

        Raises:
            ValueError: it is none.
        """
        return _object_in(manifest, _MANIFEST, f"{_MANIFEST} of {run_id}")

    def sealed_verdicts(self, run_id: str) -> dict[str, Mapping[str, Any]]:
        """Check -> what its verdict file holds, for every one that the sealed manifest names.

        Raises:
            OSError, ValueError: there is no manifest; or a verdict, run.json or histories.json is missing or not as sealed.
        """
        listed = self._listed(run_id)
        self.refuse_unknown_version(run_id)
        checks = sorted(name.removeprefix("verdicts/").removesuffix(".json") for name in listed if name.startswith("verdicts/"))
        folder = self.run_folder(run_id)

        def as_sealed(name: str) -> bytes:
            content = (folder / name).read_bytes()
            if sha256_of(content) != listed.get(name):
                raise ValueError(f"{name} of {run_id} is not as it was sealed")
            return content

        found = {check: as_sealed(f"verdicts/{_checked(check)}.json") for check in checks}
        for name in {_ORIGIN, _ENDED} & listed.keys():
            as_sealed(name)
        return {check: _object_in(content, f"{check}.json", f"the verdict of {check}") for check, content in found.items()}

    def marks(self, run_id: str) -> Mapping[str, tuple[int, int, int, int]]:
        """File -> inode, size, and when its content and its inode changed (ns), of what `sealed_verdicts` reads of a run.

        While these are the same, so is what it gives: whoever writes a file cannot choose when its inode changed.

        Raises:
            OSError: there is no such folder.
        """
        folder = self.run_folder(run_id)
        with os.scandir(folder) as own, os.scandir(folder / "verdicts") as verdicts:
            return {each.path: _mark(each.stat(follow_symlinks=True)) for each in (*own, *verdicts) if each.is_file()}

    def read_verdict(self, run_id: str, check: str) -> Mapping[str, Any]:
        """What the verdict file of a check holds.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: it is no JSON object.
        """
        return _json_object(self.run_folder(run_id) / "verdicts" / f"{_checked(check)}.json", f"the verdict of {check}")

    def digest_of(self, manifest: Mapping[str, str]) -> str:
        """The evidence digest over a manifest."""
        return sha256_of(_canonical(manifest))

    def sealed_digest(self, run_id: str) -> str:
        """The digest of the manifest file; it is the evidence digest, unless somebody changed a file.

        Raises:
            OSError: there is none.
        """
        return sha256_of((self.run_folder(run_id) / _MANIFEST).read_bytes())

    def differences(self, run_id: str, digest: str) -> list[str]:
        """Why the files of a run are not those of an evidence digest, a line each; empty if they are.

        Every file of the folder counts but those that a run leaves beside its evidence; of readiness.json the rows count: they
        must be those of the sealed verdicts.
        """
        try:
            sealed, listed, present = self.sealed_digest(run_id), self._listed(run_id), self.manifest(run_id)
        except OSError as error:
            return [f"{error.filename}: cannot be read: {error.strerror}"]
        except ValueError as error:
            return [f"{_MANIFEST}: cannot be read: {error}"]
        found = [f"{_MANIFEST}: its digest is {sealed}, not {digest}"] if sealed != digest else []
        for name in sorted(listed.keys() | present.keys()):
            if listed.get(name) != present.get(name):
                how = "missing" if name not in present else "changed" if name in listed else "not in the sealed manifest"
                found.append(f"{name}: {how}")
        known = {*listed, *present, *(() if _ORIGIN in listed else (_ORIGIN, _ENDED))}  # an earlier version left those out
        more = (name for name in self._files(run_id) if name not in known and not _BESIDE.fullmatch(name))
        found += [f"{name}: not in the sealed manifest" for name in more]
        return [*found, *self._rows_not_as_sealed(run_id, listed)]

    def _files(self, run_id: str) -> list[str]:
        """Every file below the folder of a run, also hidden ones, and links."""
        folder = self.run_folder(run_id)
        return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())

    def _rows_not_as_sealed(self, run_id: str, listed: Mapping[str, Any]) -> list[str]:
        """Which rows of readiness.json are not those of the verdict files, in one line; empty where all are, or without it."""
        try:
            result = _json_object(self.document_path(run_id), _RESULT)
            rows = {str(row["check"]): row for part in ("rows", "extra_checks") for row in result[part]}
            checks = [name.removeprefix("verdicts/").removesuffix(".json") for name in listed if name.startswith("verdicts/")]
            sealed = {check: self.read_verdict(run_id, check) for check in checks}
        except FileNotFoundError:
            return []  # that a verdict is missing is said already
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            return [f"{_RESULT}: cannot be compared with the sealed verdicts: {error}"]
        whole = False  # then it shows only the rows that were asked for
        with suppress(OSError, ValueError):  # run.json is sealed, or of an earlier version
            whole = (origin := self.origin(run_id)) is not None and origin.assets is None
        other = [check for check, row in rows.items() if check in sealed and row != row_in(sealed[check])]
        lost = [check for check in sealed if whole and check not in rows]
        if names := sorted((*other, *lost)):
            return [f"{_RESULT}: not what was sealed of {', '.join(names)}"]
        return []

    def seal(self, run_id: str) -> str:
        """Writes the manifest and returns the evidence digest: SHA-256 over the sorted manifest."""
        content = _canonical(self._manifest(run_id))
        self._write(run_id, _MANIFEST, content)
        return sha256_of(content)


def row_in(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a run's result that a verdict file holds."""
    return {name: value for name, value in verdict.items() if name not in _NOT_OF_A_ROW}


def _refuse_unknown(origin: object, run_id: str) -> None:
    version = origin.get("schema", SCHEMA) if isinstance(origin, dict) else SCHEMA
    if version != SCHEMA:
        known = f"this phase5 reads {SCHEMA} alone: update it, see docs/upgrading.md"
        raise ValueError(f"the evidence of run {run_id} is of version {version!r}, and {known}")


def _mark(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


def _json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    return _json_in(path.read_bytes(), path.name)


def _json_in(content: bytes, name: str) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deep") from error


def _json_object(path: Path, what: str) -> dict[str, Any]:
    return _object_in(path.read_bytes(), path.name, what)


def _object_in(file: bytes, name: str, what: str) -> dict[str, Any]:
    content = _json_in(file, name)
    if not isinstance(content, dict):
        raise ValueError(f"{what} is no JSON object")  # noqa: TRY004 - as every other content that cannot be read
    return content


def _checked(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"not a usable name: {name!r}")
    return name


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def table_in(content: bytes, table: "DeclaredTable[Row, Facts]", digest: str = "") -> "GatheredTable[Row, Facts]":
    """What was gathered, from the Parquet file that it was kept in; its digest where that is known.

    Raises:
        KeyError, ValueError: the file cannot be understood.
    """
    import pandas as pd

    try:
        frame = pd.read_parquet(BytesIO(content))
    except Exception as error:  # of a damaged file pandas and pyarrow raise what they happen to come to: OSError, TypeError, ...
        raise ValueError(f"not a table: {type(error).__name__}: {error}") from error
    return table.kept(frame, digest or sha256_of(content))
