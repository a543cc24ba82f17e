"""`phase5 report`: the report of a run, or of a candidate as the gate sees it, from the evidence that the run left.

Nothing of Dagster's storage is needed, and nothing is decided. What must not live here: what the page looks like.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic_core import from_json

from phase5_ops.build import CATALOGUE, PREVIEWS, PROJECT
from phase5_ops.commands.run_history import ChosenRun, chosen_run
from phase5_ops.evidence.result import RowEntry
from phase5_ops.evidence.store import row_in
from phase5_ops.evidence.table import Tables
from phase5_ops.files import sha256_of, write_whole
from phase5_ops.report.changes import changes_between, remarks_on
from phase5_ops.report.document import ReadinessDocument, headline
from phase5_ops.report.html.render import render_report
from phase5_ops.report.past_runs import EvidenceFolder, RunFiles
from phase5_ops.run_result.tables import tables_of
from phase5_ops.settings import ConfigurationError, Settings
from phase5_ops.text import first_few

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report that was written: where, of what in words, and remarks on how it was chosen."""

    path: Path
    about: str
    remarks: tuple[str, ...]


def report_run(settings: Settings, wanted: str | None, *, local: bool, output: Path | None) -> WrittenReport:
    """Writes the report of a run: of this id or beginning of one, by default the newest whole one.

    Without `output` it becomes report.html in the run's evidence folder, from where it links to the tables.

    Raises:
        ConfigurationError: no such run, or the file cannot be written.
        NothingKnown: there is no run, or its document cannot be read.
    """
    chosen = chosen_run(settings, wanted, local=local)
    return _write(settings, chosen, chosen.document, output, "report.html")


def report_release(settings: Settings, name: str, *, local: bool, output: Path | None) -> WrittenReport:
    """Writes the report of a candidate as the gate sees it, with the evidence of the run that it rests on.

    Without `output` it becomes release.html in that run's evidence folder.

    Raises:
        ConfigurationError: no such candidate, no such run in the evidence, or the file cannot be written.
        NothingKnown: there is no run, or its document cannot be read.
        NotStated, StateError, KeysError, SigningError: the gate says nothing that can be trusted, see `release_status`.
    """
    from phase5_ops.commands.status import release_status

    document = release_status(settings, name)
    if not document.run_id:
        raise ConfigurationError(
            f"no run was made for {name} yet, so there is no evidence to report; phase5 status shows the rest"
        )
    return _write(settings, chosen_run(settings, document.run_id, local=local), document, output, "release.html")


def page_of(settings: Settings, document: ReadinessDocument, before: ReadinessDocument | None) -> str:
    """The page of a document that a command has, with the evidence of its run as far as this machine has it.

    `before` is the run that it is compared with.
    """
    files = EvidenceFolder(settings.own_folder / "evidence")
    tables, unread = _tables(files, document.run_id) if document.run_id else ({}, {})
    remarks = [f"the evidence of run {document.run_id or 'none yet'} is not on this machine, so the page shows none of it"]
    if tables or unread:
        remarks = _not_as_sealed(files, document, tables)
    return _rendered(document, remarks, tables, unread, before, beside_evidence=False)


def _write(settings: Settings, chosen: ChosenRun, document: ReadinessDocument, output: Path | None, name: str) -> WrittenReport:
    folder = settings.own_folder.expanduser().resolve() / "evidence" / chosen.run.run_id
    if output is None and not folder.is_dir():
        raise ConfigurationError(f"the folder of run {chosen.run.run_id} is not on this machine: name a file with --output")
    path = folder / name if output is None else output.expanduser().resolve()
    page = _page(chosen, document, beside_evidence=path.parent == folder)
    try:
        write_whole(path, page.encode())
    except OSError as error:
        remedy = "name a file elsewhere with --output" if output is None else "name another file"
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror}; {remedy}") from error
    of = f"{document.release} in {document.environment}, run" if document.release else f"{document.environment}, run"
    about = f"{of} {document.run_id}, evaluated at {document.evaluated_at}: {headline(document)}"
    return WrittenReport(path, about, (*chosen.remarks, *filter(None, [chosen.late])))


def _page(chosen: ChosenRun, document: ReadinessDocument, *, beside_evidence: bool) -> str:
    tables, unread = _tables(chosen.files, chosen.run.run_id)
    remarks = [*filter(None, [chosen.late]), *_not_as_sealed(chosen.files, document, tables)]
    return _rendered(document, remarks, tables, unread, chosen.before, beside_evidence=beside_evidence)


def _rendered(
    document: ReadinessDocument,
    remarks: Sequence[str],
    tables: Tables,
    unread: Mapping[str, str],
    before: ReadinessDocument | None,
    *,
    beside_evidence: bool,
) -> str:
    return render_report(
        document.model_copy(update={"notices": [*document.notices, *remarks, *remarks_on(before, document)]}),
        tables=tables,
        previews=PREVIEWS,
        changes=changes_between(before, document),
        catalogue=CATALOGUE,
        unread=unread,
        beside_evidence=beside_evidence,
    )


def _tables(files: RunFiles, run_id: str) -> tuple[Tables, dict[str, str]]:
    tables, unread = tables_of(files, run_id, PROJECT.tables)
    return tables, {asset: f"{type(error).__name__}: {error}" for asset, error in unread.items()}


def _not_as_sealed(files: RunFiles, document: ReadinessDocument, tables: Tables) -> list[str]:
    """Says which tables are not those that the run sealed."""
    try:
        content = files.read(document.run_id, _MANIFEST)
        sealed = from_json(content)
    except (OSError, ValueError) as error:
        return [f"the evidence cannot be compared with its seal: {_MANIFEST}: {error}"]
    if sha256_of(content) != document.evidence_digest or not isinstance(sealed, dict):
        return [f"the evidence is not what this document was made from: the digest of its {_MANIFEST} differs"]
    names = {name.removeprefix("tables/").removesuffix(".parquet"): digest for name, digest in sealed.items()}
    if changed := [asset for asset, table in tables.items() if names.get(asset) != table.digest]:
        return [f"the evidence was changed after the run: {first_few(changed)}"]
    if document.release is None and (other := _otherwise_judged(files, document, sealed)):
        return [
            f"DO NOT RELY ON THIS PAGE: the document was changed after the run, which sealed other results: {first_few(other)}"
        ]
    return []


def _otherwise_judged(files: RunFiles, document: ReadinessDocument, sealed: Mapping[str, str]) -> list[str]:
    """Row and sealed verdict of each row of which the run's document says anything else than the run sealed."""
    found = []
    for entry in (*document.rows, *document.extra_checks):
        name = f"verdicts/{entry.check}.json"
        if name not in sealed:
            continue
        try:
            content = files.read(document.run_id, name)
            judged = from_json(content)
        except (OSError, ValueError) as error:
            found.append(f"{entry.id} ({name} cannot be read: {error})")
            continue
        verdict = judged.get("verdict") if isinstance(judged, dict) else None
        if sha256_of(content) != sealed[name] or not _is_entry(judged, entry):
            found.append(f"{entry.id} {verdict}")
    return found


def _is_entry(judged: object, entry: RowEntry) -> bool:
    """Whether a sealed verdict says what a row of the document says, with its findings, facts and summary."""
    try:
        return isinstance(judged, dict) and RowEntry.model_validate(row_in(judged)) == entry
    except ValueError:
        return False
