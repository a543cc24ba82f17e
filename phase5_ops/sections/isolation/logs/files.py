"""`phase5 scan-logs`: the scan of row 4.2 over files, without Dagster and without AWS, and its result as text or JSON.

Same engine, same judge, same findings. There is no ledger: the owner of a trace or intent is the tenant in the tenant field of
its first line that has one.
"""

import json
import re
from dataclasses import asdict
from pathlib import Path

from phase5_ops.input_files.archives import Archive, files
from phase5_ops.input_files.files import FileUnreadable
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.report.file_audit import finding_lines
from phase5_ops.report.wrapping import labelled
from phase5_ops.sections.isolation.logs.engines.conditions import Conditions
from phase5_ops.sections.isolation.logs.engines.kept_files import file_scans
from phase5_ops.sections.isolation.logs.evidence import dictionary_of, scan_facts, scan_rows
from phase5_ops.sections.isolation.logs.judge import judge_log_scan
from phase5_ops.sections.isolation.logs.pieces import Progress
from phase5_ops.sections.isolation.logs.reading import archive_read, missing_reads, not_read_again, scan_archive
from phase5_ops.sections.isolation.logs.run import LogRun
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY
from phase5_ops.text import printable
from phase5_ops.verdict import Judgement

SCHEMA = "phase5.log-scan/v1"


#: A comment, a separator, a quote or a bracket around: what is no id would be found in no line, and every line would pass.
_MORE_THAN_AN_ID = re.compile(r"""^\s*\#|\S\s+[^\w\s]|[:=]\s+\S|[\t,;|]|^\s*["'`\[{<]|["'`\]}>]\s*$""")


class TenantsUnreadable(Exception):
    """The file of tenant ids cannot be read, or a line of it is not one id."""


def read_tenant_ids(path: Path) -> list[str]:
    """The ids of a file, one a line; a byte order mark and line ends of any kind are no part of an id.

    Raises:
        TenantsUnreadable: no such file, no permission, or not UTF-8; or a line has a comment, quotes or several ids.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TenantsUnreadable(f"--tenants {path}: cannot be read: {error}") from error
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if _MORE_THAN_AN_ID.search(line.rstrip("\r")):
            raise TenantsUnreadable(
                f"--tenants {path}: line {number} is not one tenant id: {printable(line[:80])}; "
                "one id a line, without comments, quotes and separators"
            )
    return lines[:-1] if lines and not lines[-1] else lines


def scan_files(
    paths: list[str],
    tenants: list[str],
    policy: LogScanPolicy,
    progress: Progress | None = None,
    *,
    keep: Path | None = None,
) -> Judgement:
    """The judgement of the lines in these files and folders (`-` is stdin).

    Args:
        paths: the files and folders.
        tenants: the ids.
        policy: how they are searched for.
        progress: is told how far each file is.
        keep: a folder where what is found of many large files is kept until the scan ends; None to scan them one by one.
    """
    dictionary = dictionary_of(tenants, policy)
    reads, archives, count = list[Read](), list[Archive](), 0
    for path in paths:
        try:
            here = files([path])
        except (FileUnreadable, OSError, ValueError) as error:
            reads.append(archive_read(path, ReadStatus.NOT_FOUND, str(error), pages=0))
            continue
        if not here:
            reads.append(archive_read(path, ReadStatus.NOT_FOUND, "a folder without files", pages=0))
        archives += here
        count += max(1, len(here))
    scans = file_scans(archives, Conditions(dictionary.tenants, policy, OWN_KEY), keep, where="this machine", failure=_failure)
    with LogRun(
        dictionary.tenants,
        exceptions=policy.exceptions,
        base64=policy.base64,
        any_case=policy.any_letter_case,
        key=scans.key if scans else OWN_KEY,
    ) as run:
        if scans:
            reads += scans.scan(run, archives, progress)
        else:
            reads += [read for archive in archives for read in scan_archive(run, archive, _failure, progress)]
        scan = run.finish()
        reads += [*missing_reads(run), *not_read_again(run)]
    if scans:
        scans.forget()
    facts = {**scan_facts(scan, dictionary), "files": count}
    return judge_log_scan(scan_rows(scan, dictionary), facts=facts, reads=reads, policy=policy)


def _failure(error: Exception) -> tuple[ReadStatus, str]:
    return ReadStatus.FAILED, str(error)  # a name that no file can have; stdin named twice


def as_json(judgement: Judgement) -> str:
    """The judgement as a JSON document: schema, verdict, facts, findings."""
    document = {
        "schema": SCHEMA,
        "verdict": judgement.verdict,
        "facts": dict(judgement.facts),
        "findings": [asdict(finding) for finding in judgement.findings],
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # names of files need not be UTF-8


def as_text(judgement: Judgement, width: int) -> str:
    """The result as lines of at most `width` columns but for addresses: verdict and summary, encodings decoded, findings."""
    lines = labelled(judgement.verdict, printable(judgement.summary), width)
    lines += labelled("", f"ids as written and behind {judgement.facts['layers']}", width, indent=2)
    if judgement.facts["layers_not_searched"]:
        lines += labelled("", f"not in {judgement.facts['layers_not_searched']}", width, indent=2)
    return "\n".join([*lines, *finding_lines(judgement, width)])
