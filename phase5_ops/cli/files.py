"""The commands over files, without Dagster and AWS: the log scan, the ledger audit, the verification of attestations."""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from phase5_ops.cli.errors import refuse
from phase5_ops.cli.options import AcceptedRight, OutputOption, PlainFormat, PlainFormatOption
from phase5_ops.cli.output import check_writable, width_of, write
from phase5_ops.cli.progress import progress

if TYPE_CHECKING:
    from phase5_ops.gate.attestation.keys import KeySet
    from phase5_ops.input_files.locations import Location
    from phase5_ops.settings import ReadingSettings


def scan_logs(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Files or folders, packed or not; - is stdin.")],
    tenants: Annotated[Path, typer.Option("--tenants", "-t", help="File of tenant ids, one a line.")],
    output_format: PlainFormatOption = PlainFormat.table,
    output: OutputOption = None,
) -> None:
    """Scan log files for lines of one tenant's trace that name another tenant, without Dagster and AWS.

    Text in Lambda's text or JSON format, subscription envelopes as Firehose writes them, answers of filter-log-events,
    get-log-events and get-query-results, and lists of events; packed (gzip, zstd, bzip2, xz, zip, tar, also in each other) or
    not. What is not understood is named and an ERROR. Ids are also found behind encodings; PHASE5_LOGS__BASE64 and
    PHASE5_LOGS__ANY_LETTER_CASE add two.

    Exit codes: 0 PASS or WARN; 1 FAIL; 2 INCONCLUSIVE or ERROR; 3 usage. Thresholds are those of PHASE5_LOGS__*.
    """
    check_writable(output)
    from phase5_ops.report.file_audit import exit_code
    from phase5_ops.sections.isolation.logs import files as log_command
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings()
    try:
        ids = log_command.read_tenant_ids(tenants)
    except log_command.TenantsUnreadable as error:
        raise ConfigurationError(str(error)) from error
    with progress("scanning", piped=False):
        logger = logging.getLogger("phase5_ops.scan")

        def show(name: str, done: int) -> None:
            logger.info("%s: %d MB", name, done // 1_000_000)

        judgement = log_command.scan_files(paths, ids, settings.logs, show, keep=settings.partials_folder)
    if output_format is PlainFormat.json:
        write(log_command.as_json(judgement), output)
    else:
        write(log_command.as_text(judgement, width_of(output)), output)
    raise typer.Exit(exit_code(judgement))


def audit_ledger(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files or folders with ledger items, or s3://bucket/prefix.", show_default=False),
    ],
    output_format: PlainFormatOption = PlainFormat.table,
) -> None:
    """Audit the replays in ledger exports, without Dagster: the same judgement as row 3.2.

    Takes DynamoDB JSON or plain items: scan, query, get and batch-get answers, put requests, lists, lines, and full and
    incremental exports, packed (gzip, zstd, bzip2, xz, zip, tar) or not. Every file of a folder is read, or named as not read
    (ERROR); an export must be whole by its manifests' checksums and counts, and of the table PHASE5_TABLES__LEDGER. Several
    exports are one ledger; a time that none covers is INCONCLUSIVE. Evaluated at PHASE5_NOW, else at the newest entry.

    What lies in S3 is read with the caller's own credentials (s3:ListBucket, s3:GetObject), as a stream; the data of incremental
    exports lies beside their folder. The rest needs no AWS.

    Exit codes: 0 PASS or WARN, 1 FAIL, 2 INCONCLUSIVE or ERROR, 3 usage.
    """
    from phase5_ops.aws.s3.addresses import is_s3
    from phase5_ops.settings import ConfigurationError, load_settings

    settings = load_settings()
    if missing := [path for path in paths if not is_s3(path) and not Path(path).exists()]:
        raise ConfigurationError(f"no such file or folder: {', '.join(missing)}")
    with progress("reading", piped=False):
        from phase5_ops.report import file_audit
        from phase5_ops.sections.replay.audit.files import SCHEMA, audit_files

        locations = [_location(path, settings.reading) for path in paths]
        judgement = audit_files(locations, policy=settings.replay, now=settings.now, table=settings.tables.ledger)
    if output_format is PlainFormat.json:
        print(file_audit.as_json(SCHEMA, judgement))
    else:
        print(file_audit.as_text("Replay audit trail", judgement, width_of(None)))
    raise typer.Exit(file_audit.exit_code(judgement))


def _location(path: str, reading: "ReadingSettings") -> "Location":
    from phase5_ops.aws.s3.addresses import is_s3

    if is_s3(path):
        from phase5_ops.aws.s3.input_objects import S3Location

        return S3Location(path, reading)
    from phase5_ops.input_files.locations import DiskLocation

    return DiskLocation(Path(path))


def verify(  # noqa: PLR0917 - each is an option of the command
    file: Annotated[
        list[Path] | None, typer.Argument(help="Envelopes: the readiness statement, and the decision; or an archive.")
    ] = None,
    digest: Annotated[str, typer.Option("--digest", "-d", help="sha256:... of the artifact they must be about.")] = "",
    policy: Annotated[
        Path | None, typer.Option("--policy", help="The trusted keys; default: keys.json of the state folder.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", help="Judge age as of this moment (ISO-8601).")] = None,
    max_age_hours: Annotated[float, typer.Option(help="How old the statement may be.", min=0)] = 168,
    environment: Annotated[
        str | None,
        typer.Option("--environment", help="The environment they must be for; default: PHASE5_ENVIRONMENT, as everywhere."),
    ] = None,
    accept: Annotated[
        list[AcceptedRight] | None,
        typer.Option("--accept", help="Take a promotion by this right too, although the gate was not open; may be repeated."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", help="Folder of the run, evidence/<run id>: its files must be those of the statement."),
    ] = None,
    without_decision: Annotated[
        bool, typer.Option("--without-decision", help="Verify the signatures of a readiness statement that was not promoted.")
    ] = False,
) -> None:
    """Verify attestations, or an archive of audit-export, offline: exit 0 if everything holds, 1 if not, 3 for a usage error.

    Needs neither AWS nor Dagster nor the network, only the files and the keys. The files are those of a promotion: the readiness
    statement and the decision; or, with --accept, the signed override and the decision. They must be for one environment: that of
    --environment, else of the settings; where neither names one and the statement is not for the default environment, give
    --environment (exit 3). A revoked key counts only for a signature that, by the time of a decision, was made before it was
    revoked. A statement older than --max-age-hours does not verify; an auditor judges its age as of an earlier day with --at, and
    compares the evidence files with --evidence. A readiness statement alone shows what three people signed, not that the gate
    promoted it: it verifies only with --without-decision. Of an archive every item is verified, not verified, or missing.
    """
    from datetime import UTC, datetime, timedelta

    from phase5_ops.clock import parse_iso
    from phase5_ops.gate.attestation.orders import OrderKind
    from phase5_ops.gate.attestation.verification import DIGEST_PATTERN
    from phase5_ops.gate.attestation.verification import verify as verify_files
    from phase5_ops.policy import DEFAULT_ENVIRONMENT

    if not file:
        refuse("nothing to verify: name the files of the envelopes, or an archive of phase5 audit-export")
    if _is_archive(file):
        if digest or at or accept or evidence is not None or without_decision:
            refuse(
                "an archive is verified as a whole: --digest, --at, --accept, --evidence and --without-decision go with the files"
                " of one promotion"
            )
        _verify_archive(file[0], policy, environment if environment is not None else _environment_of_settings())
    if not DIGEST_PATTERN.fullmatch(digest):
        refuse(f"--digest {digest}: give the artifact's digest as sha256: and 64 hex digits")
    try:
        keys = _trusted_keys(policy)
        contents = {str(path): path.read_bytes() for path in file}
        now = parse_iso(at) if at else datetime.now(UTC)
        max_age = timedelta(hours=max_age_hours)
    except OSError as error:
        refuse(f"{error.filename}: cannot be read: {error.strerror}")
    except (ValueError, OverflowError) as error:
        refuse(f"--at or --max-age-hours: {error}; a moment is given as 2026-11-24T10:00:00Z, an age as a number of hours")
    kinds = [OrderKind[each.value.upper().replace("-", "_")] for each in accept or ()]
    named = environment if environment is not None else _environment_of_settings()
    verification = verify_files(
        contents,
        digest=digest,
        keys=keys,
        now=now,
        max_age=max_age,
        environment=DEFAULT_ENVIRONMENT if named is None else named,
        accept=kinds,
        promoted=not without_decision,
    )
    if evidence is not None:
        verification = verification.with_problems(_evidence_problems(evidence, verification.facts))
    print("\n".join(verification.lines()), flush=True)
    if named is None and verification.only_environment_differs:
        said = verification.facts.get("environment")
        refuse(f"the statement is for {said!r}, and no environment is named: give --environment {said} if you expect that one")
    raise typer.Exit(0 if verification.ok else 1)


def _trusted_keys(policy: Path | None) -> "KeySet":
    from phase5_ops.gate.attestation.keys import KeysError, parse_keys

    path = policy or Path(os.environ.get("PHASE5_STATE_DIR") or ".phase5") / "keys.json"
    try:
        return parse_keys(path.read_bytes())
    except KeysError as error:
        refuse(f"{path}: {error}")
    except OSError as error:
        remedy = "; name the trusted keys with --policy" if policy is None else ""
        refuse(f"{error.filename}: cannot be read: {error.strerror}{remedy}")


def _is_archive(files: list[Path]) -> bool:
    from phase5_ops.gate.audit.archive import is_archive

    try:
        with files[0].open("rb") as file:
            found = is_archive(file.read(2))
    except OSError:
        return False  # said where it is read
    if found and len(files) > 1:
        refuse("an archive is verified alone: name no other file")
    return found


def _verify_archive(path: Path, policy: Path | None, environment: str | None) -> NoReturn:
    """Verifies an archive of `phase5 audit-export`: exit 0 if everything in it holds, 1 if not."""
    from phase5_ops.gate.audit.archive import NoArchive, read_archive
    from phase5_ops.gate.audit.verification import verify_archive

    keys = _trusted_keys(policy)
    try:
        archive = read_archive(path)
    except NoArchive as error:
        print(f"NOT VERIFIED: {path}: {error}", flush=True)
        raise typer.Exit(1) from error
    except OSError as error:
        refuse(f"{path}: cannot be read: {error.strerror}")
    verification = verify_archive(archive, keys, environment)
    print("\n".join(verification.lines()), flush=True)
    raise typer.Exit(0 if verification.ok else 1)


def _evidence_problems(folder: Path, facts: Mapping[str, str]) -> list[str]:
    """Why a folder is not the evidence of a statement."""
    from phase5_ops.evidence.store import EvidenceStore

    digest, run_id = facts.get("evidence"), facts.get("of run")
    if digest is None:
        return ["--evidence: none of the files given says which evidence it rests on"]
    resolved = folder.resolve()
    try:
        found = EvidenceStore(resolved.parent).differences(resolved.name, digest)
    except ValueError as error:
        found = [str(error)]
    if found and resolved.name != run_id:
        found.append(f"the statement rests on run {run_id}: give the folder of that name")
    return [f"evidence {folder}: {line}" for line in found]


def _environment_of_settings() -> str | None:
    """The environment that the settings name; None where nothing sets any, so that they need not be loaded."""
    if not {"PHASE5_ENVIRONMENT", "PHASE5_CONFIG"} & {name.upper() for name in os.environ}:
        return None
    from phase5_ops.settings import load_settings

    settings = load_settings()
    return settings.environment if "environment" in settings.model_fields_set else None
