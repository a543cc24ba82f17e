"""`phase5 audit-export`: what the gate recorded in a period, in one archive. Reads everything and changes nothing.

The state table is scanned once: a candidate that ended has no entry by which it could be found. Evidence comes from the state
folder, else from its copy on S3; what is in neither is named as missing.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from phase5_ops.aws.reader import reader_of
from phase5_ops.clock import parse_iso
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.attestation.envelopes import envelope_bytes
from phase5_ops.gate.audit.archive import ArchiveWriter, is_name, written
from phase5_ops.gate.audit.contents import AuditPeriod, Contents, Missing, contents_of, manifest_of
from phase5_ops.gate.audit.verification import MANIFEST_FILE, MANIFEST_TYPE, SIGNED_MANIFEST
from phase5_ops.gate.audit.words import README, summary_of
from phase5_ops.gate.inputs.evidence_copy import EvidenceCopy
from phase5_ops.gate.session import GateSession
from phase5_ops.settings import ConfigurationError, Settings

_MANIFEST = "manifest.json"  # of a run's evidence
_DAY = "%Y-%m-%d"

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: where, how many files, and what is missing."""

    path: Path
    files: int
    missing: tuple[Missing, ...]
    signed: bool

    def lines(self) -> list[str]:
        """For people."""
        sign = "signed by the gate" if self.signed else "not signed: --sign signs it with the gate's key, where that is allowed"
        gone = [f"missing: {each.what}, named by {each.named_by}: {each.why}" for each in self.missing]
        return [*gone, f"{self.path}: {self.files} files, {len(self.missing)} missing; its manifest is {sign}"]


def period_of(begins: str, ends: str) -> AuditPeriod:
    """A period from days (UTC, the last one whole) or moments with a time zone.

    Raises:
        ConfigurationError: they are neither, or the wrong way round.
    """
    period = AuditPeriod(_moment("--from", begins, "00:00:00"), _moment("--to", ends, "23:59:59.999"))
    if period.begins > period.ends:
        raise ConfigurationError(f"--from {begins} is after --to {ends}")
    return period


def _moment(option: str, text: str, of_day: str) -> datetime:
    try:
        day = datetime.strptime(text, _DAY).replace(tzinfo=UTC)
        return parse_iso(f"{day:{_DAY}}T{of_day}Z")
    except ValueError:
        pass
    try:
        return parse_iso(text)
    except ValueError as error:
        raise ConfigurationError(f"{option} {text}: give a day as 2026-12-31, or a moment with time zone") from error


def default_path(settings: Settings, period: AuditPeriod) -> Path:
    """Where the archive is written unless another place is named."""
    return Path(f"phase5-audit-{settings.environment}-{period.begins:{_DAY}}-{period.ends:{_DAY}}.tar.gz")


def export(session: GateSession, period: AuditPeriod, path: Path, *, sign: bool, say: Say = lambda _: None) -> Exported:
    """Writes the archive, whole or not at all.

    Args:
        session: reads; its keys are those that the archive names.
        period: what it is of.
        path: where it is written.
        sign: whether its manifest is signed with the gate's key.
        say: told of each part.

    Raises:
        StateError: the state table cannot be read.
        KeysError, SigningError: it cannot be told which keys to trust, or the gate's key does not sign.
        ConfigurationError: the archive cannot be written.
    """
    settings = session.settings
    say("reading the state table")
    contents = contents_of(session.state.everything(), settings.environment, period, session.keys)
    try:
        with written(path) as archive:
            for name, content in sorted(contents.files.items()):
                archive.add(name, content)
            for number, (run_id, named) in enumerate(sorted(contents.evidence.items()), start=1):
                say(f"evidence {number} of {len(contents.evidence)}: run {run_id}")
                _add_evidence(archive, settings, run_id, named, contents)
            archive.add("README.md", README.encode())
            archive.add("summary.md", summary_of(contents, settings.environment, period, _notes(settings)).encode())
            manifest = manifest_of(
                contents,
                archive.digests,
                environment=settings.environment,
                period=period,
                made_at=session.now,
                version=version("phase5-ops"),
            )
            archive.add(MANIFEST_FILE, manifest)
            if sign:
                say("signing the manifest")
                key_id, signature = session.signed_by_gate(manifest, MANIFEST_TYPE)
                archive.add(SIGNED_MANIFEST, envelope_bytes(manifest, {key_id: signature}, MANIFEST_TYPE))
            count = len(archive.digests)
    except OSError as error:
        raise ConfigurationError(f"--output {path}: cannot be written: {error}") from error
    return Exported(path, count, tuple(contents.missing), sign)


def _add_evidence(archive: ArchiveWriter, settings: Settings, run_id: str, named: dict[str, str], contents: Contents) -> None:
    by = ", ".join(sorted(named.values()))
    try:
        read, listed = _sealed(settings, run_id)
    except (OSError, ValueError) as error:
        days = settings.retention.release_days
        why = f"neither in the evidence folder nor in a copy ({error}); the folder keeps a release's runs for {days:g} days"
        contents.missing.append(Missing(f"evidence/{run_id}", by, why))
        return
    for name in sorted({*listed, _MANIFEST}):
        path = f"evidence/{run_id}/{name}"
        try:  # a manifest that somebody changed may name any file of this machine
            archive.add(path, read(name) if is_name(path) else b"")
        except (OSError, ValueError) as error:
            contents.missing.append(Missing(f"evidence/{run_id}/{name}", by, f"it cannot be read: {error}"))


def _sealed(settings: Settings, run_id: str) -> tuple[Callable[[str], bytes], list[str]]:
    """What reads a file of a run's evidence, and the names of all that were sealed.

    Raises:
        OSError, ValueError: there is no sealed evidence of that run, here or in the copy.
    """
    store = EvidenceStore(settings.own_folder / "evidence")
    problems = []
    for read in _sources(settings, store, run_id):
        try:
            return read, sorted(store.listed_in(read(_MANIFEST), run_id))
        except (OSError, ValueError) as error:
            problems.append(str(error))
    raise FileNotFoundError("; ".join(problems))


def _sources(settings: Settings, store: EvidenceStore, run_id: str) -> Iterator[Callable[[str], bytes]]:
    yield lambda name: (store.run_folder(run_id) / name).read_bytes()
    if settings.evidence_s3_uri:
        copy = EvidenceCopy(reader_of(settings), settings.evidence_s3_uri)  # its time limits are for this run alone
        yield lambda name: copy.read(run_id, name)


def _notes(settings: Settings) -> dict[str, str]:
    kept = settings.retention
    return {
        "state table": "every record of the environment was read; only what finds open candidates is ever deleted from it",
        "candidates": "each release's last series as it stands; of earlier series the statements, signatures and last documents",
        "evidence": f"the state folder keeps a release's runs for {kept.release_days:g} days, others for {kept.run_days:g}",
        "CloudTrail": "its event history of the Sign calls goes back 90 days: phase5 audit-signatures compares with it meanwhile",
        "not in it": "what reached production past this gate, Dagster's own records, evidence of runs that nothing signed names",
    }
