"""Lines of log groups and files, in every shape of delivery: row 4.2."""

import io
from functools import partial

from phase5_ops.input_files.archives import Archive
from phase5_ops.policy import LogScanPolicy
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.isolation.logs.evidence import dictionary_of, scan_facts, scan_rows
from phase5_ops.sections.isolation.logs.judge import judge_log_scan
from phase5_ops.sections.isolation.logs.reading import missing_reads, not_read_again, scan_archive
from phase5_ops.sections.isolation.logs.run import LogRun
from phase5_ops.sections.isolation.logs.tokens import OWN_KEY
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.logs.log_shapes import SHAPES, TENANTS, Invocation

READS = "log lines as text, JSON, envelopes, exports and packed in lines (`input_files/log_parts`, `sections/isolation/logs`)"
MALFORMED = (
    "`log_group_unreadable` or a finding that the lines' owner is not known; a line that leaks is found whatever stands around it"
)

A, B, LEAK = Invocation(1, "acme"), Invocation(2, "globex"), Invocation(3, "acme", leaks=True)
PIECES = (
    '{"', '"}', "[", "]", "\n", "\r\n", "\t", "START RequestId: ", "END RequestId: ", '"logEvents":', '"message":', "acme",
    "globex", '{"tenant_id":"acme"}', '"trace_id":"trace-1-x"', "\\u0061cme", "\\n", "%61cme", "H4sIAAAA", "eyJ", "TENANT#",
    "\x00", "\x1f\x8b", "\ufffe",
)  # fmt: skip
LEAKING = b'\n[2026-11-23T09:08:04.525Z] [ERROR] [Invoker] of TENANT#globex {"trace_id":"t-9","tenant_id":"acme"}\n'


def judged(content: bytes, name: str = "file") -> Judgement:
    """Row 4.2 over one file."""
    policy = LogScanPolicy()
    dictionary = dictionary_of(TENANTS, policy)
    with LogRun(
        dictionary.tenants, exceptions=policy.exceptions, base64=policy.base64, any_case=policy.any_letter_case, key=OWN_KEY
    ) as run:
        archive = Archive(name, partial(io.BytesIO, content), len(content))
        reads = scan_archive(run, archive, lambda error: (ReadStatus.FAILED, str(error)))
        scan = run.finish()
        reads += [*missing_reads(run), *not_read_again(run)]
    return judge_log_scan(
        scan_rows(scan, dictionary), facts={**scan_facts(scan, dictionary), "files": 1}, reads=reads, policy=policy
    )


def fuzz(data: bytes) -> None:
    """Scans altered lines; a line of plain text that leaks never passes, whatever stands before it."""
    source = Source(data)
    shape = source.one_of(["text", *sorted(SHAPES)])
    leaks = source.chance(2)
    text = SHAPES[shape](A, LEAK if source.chance(2) else B)
    if not data:
        assert judged(text.encode()).verdict is Verdict.PASS
    content = source.spliced(text, PIECES).encode("utf-8", "surrogatepass")
    content = source.spliced_bytes(content) if source.chance(3) else content
    content += LEAKING if leaks else b""
    verdict = judged(content).verdict
    assert not leaks or verdict.blocks, "a line that leaks passes"
