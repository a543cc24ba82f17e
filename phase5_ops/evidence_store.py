"""Where a run's evidence is kept: tables as Parquet, verdicts as JSON, one folder a run, and a digest over all of it.

    <state folder>/evidence/<run id>/run.json           what made it (see `Origin`), outside the digest
                                     tables/<asset>.parquet
                                     reports/<name>        pages for people made from a table
                                     verdicts/<check>.json
                                     manifest.json      path -> SHA-256 of every file above
                                     readiness.json     the result of `phase5 check`, outside the digest it names

Files appear whole or not at all (written beside, then renamed), so a killed run leaves no half file. With a copy target every
file is also put there, before the step that made it succeeds.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pandas as pd

from phase5_ops.digest import sha256_of
from phase5_ops.whole_file import write_whole

Upload = Callable[[str, bytes], None]

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_DIGESTED = ("tables", "reports", "verdicts")
_ORIGIN, _MANIFEST = "run.json", "manifest.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """What made a folder of evidence, as it says itself, so that it can be told after Dagster has forgotten the run.

    Attributes:
        job: the run's job.
        environment: what was judged.
        fixed_now: it ran under PHASE5_NOW.
        assets: those that were chosen, sorted; None for all of the job.
    """

    job: str
    environment: str
    fixed_now: bool
    assets: tuple[str, ...] | None


class EvidenceStore:
    """The evidence folders below `root`; `upload(key, content)` also receives every file (key relative to `root`)."""

    def __init__(self, root: Path, upload: Upload | None = None) -> None:
        self._root = root
        self._upload = upload

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

    def write_table(self, run_id: str, asset: str, table: pd.DataFrame) -> str:
        """Keeps a table, its attrs in the Parquet metadata; returns the file's digest."""
        buffer = BytesIO()
        table.to_parquet(buffer, index=False)
        return self._write(run_id, f"tables/{_checked(asset)}.parquet", buffer.getvalue())

    def read_table(self, run_id: str, asset: str) -> pd.DataFrame:
        """The table as it was kept.

        Raises:
            FileNotFoundError: the run kept no such table.
        """
        return pd.read_parquet(self.table_path(run_id, asset))

    def table_digest(self, run_id: str, asset: str) -> str:
        """The digest of the stored table file."""
        return sha256_of(self.table_path(run_id, asset).read_bytes())

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
        self._write(run_id, "readiness.json", _canonical(document))

    def write_origin(self, run_id: str, origin: Origin) -> None:
        """Says what makes this folder; done before the first table or verdict, and once a run."""
        if not (self.run_folder(run_id) / _ORIGIN).exists():
            self._write(run_id, _ORIGIN, _canonical(asdict(origin)))

    def origin(self, run_id: str) -> Origin | None:
        """What made the evidence of a run; None where nothing was gathered or judged in it.

        Raises:
            OSError, ValueError: there is evidence, and what made it is not said or cannot be read.
        """
        folder = self.run_folder(run_id)
        if not any((folder / part).exists() for part in _DIGESTED):
            return None
        content = _json(folder / _ORIGIN)
        try:
            chosen = None if content["assets"] is None else tuple(map(str, content["assets"]))
            return Origin(str(content["job"]), str(content["environment"]), content["fixed_now"] is True, chosen)
        except (KeyError, TypeError) as error:
            raise ValueError(f"{_ORIGIN} of {run_id} does not say what made it") from error

    def runs_by_change(self) -> list[tuple[datetime, str]]:
        """When the folder of each run was changed last (that is when the run last sealed), and the run's id; oldest first.

        Raises:
            OSError: the folders cannot be listed; that there are none yet is no error.
        """
        if not self._root.exists():
            return []
        found = []
        with os.scandir(self._root) as entries:
            for entry in entries:
                if _SAFE_NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                    found.append((datetime.fromtimestamp(entry.stat(follow_symlinks=False).st_mtime, UTC), entry.name))
        return sorted(found)

    def write_attestation(self, run_id: str, name: str, content: bytes) -> None:
        """Keeps a signed envelope (`decision.dsse.json`) of a promotion under its run; outside every evidence digest."""
        stem, _, suffix = name.partition(".")
        if suffix != "dsse.json":
            raise ValueError(f"not the name of an envelope: {name!r}")
        self._write(run_id, f"attestations/{_checked(stem)}.{suffix}", content)

    def manifest(self, run_id: str) -> dict[str, str]:
        """Path -> digest of every table, report and verdict of a run, read afresh."""
        folder = self.run_folder(run_id)
        files = sorted(path for part in _DIGESTED for path in (folder / part).glob("[!.]*") if path.is_file())
        return {path.relative_to(folder).as_posix(): sha256_of(path.read_bytes()) for path in files}

    def read_verdict(self, run_id: str, check: str) -> Mapping[str, Any]:
        """What the verdict file of a check holds.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: it is no JSON object.
        """
        content = _json(self.run_folder(run_id) / "verdicts" / f"{_checked(check)}.json")
        if isinstance(content, dict):
            return content
        raise ValueError(f"the verdict of {check} is no JSON object")

    def digest(self, run_id: str) -> str:
        """The evidence digest over the files as they are now, without sealing."""
        return self.digest_of(self.manifest(run_id))

    def digest_of(self, manifest: Mapping[str, str]) -> str:
        """The evidence digest over a manifest."""
        return sha256_of(_canonical(manifest))

    def sealed_digest(self, run_id: str) -> str:
        """The digest of the manifest as it was written; that of the evidence, unless somebody changed one of them.

        Raises:
            OSError: there is none.
        """
        return sha256_of((self.run_folder(run_id) / _MANIFEST).read_bytes())

    def seal(self, run_id: str) -> str:
        """Writes the manifest and returns the evidence digest: SHA-256 over the sorted manifest."""
        content = _canonical(self.manifest(run_id))
        self._write(run_id, _MANIFEST, content)
        return sha256_of(content)


def _json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(path.read_bytes())
    except RecursionError as error:
        raise ValueError(f"{path.name} is nested too deep") from error


def _checked(name: str) -> str:
    if not _SAFE_NAME.fullmatch(name):
        raise ValueError(f"not a usable name: {name!r}")
    return name


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
