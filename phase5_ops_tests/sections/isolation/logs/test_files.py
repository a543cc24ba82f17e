"""`phase5 scan-logs` as a user meets it: verdicts, exit codes, and honest answers for odd files."""

import functools
import gzip
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from phase5_ops.cli.app import app
from phase5_ops.input_files.archives import blocks
from phase5_ops.input_files.files import contents
from phase5_ops.policy import LogScanPolicy
from phase5_ops.sandbox.state.ordinary_logs import execution_logs, ordinary_executions
from phase5_ops.sections.isolation.logs.files import SCHEMA, TenantsUnreadable, as_text, read_tenant_ids, scan_files
from phase5_ops.verdict import Finding, Judgement, Verdict
from phase5_ops_tests.report.test_terminal import HOSTILE, RUNBOOK, WIDTHS, too_wide_or_steering

pytestmark = pytest.mark.slow

OWN = '[2026-11-23T09:08:03.525Z] [INFO] [Starter] invoked {"trace_id":"trace-1","tenant_id":"acme"}\n'
LEAK = '[2026-11-23T09:08:04.525Z] [ERROR] [Invoker] secret of globex {"trace_id":"trace-1"}\n'
UNOWNED = '[2026-11-23T09:08:05.525Z] [INFO] [Adapter] Note created {"tenant_id":"acme"}\n'


def scan(paths: Sequence[Path | str], ids: Sequence[str] = ("acme", "globex")) -> Judgement:
    return scan_files([str(path) for path in paths], list(ids), LogScanPolicy())


def codes(judgement: Judgement) -> set[str]:
    return {finding.code for finding in judgement.findings}


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "logs" / "one.log"
    path.parent.mkdir()
    path.write_text(OWN)
    return path


@pytest.mark.parametrize(
    ("content", "exit_code", "verdict"),
    [(OWN, 0, "PASS"), (OWN + LEAK, 1, "FAIL"), (OWN + UNOWNED, 2, "INCONCLUSIVE"), ("", 2, "INCONCLUSIVE")],
)
def test_the_exit_code_follows_the_verdict(content: str, exit_code: int, verdict: str, log: Path, tmp_path: Path):
    log.write_text(content)
    tenants = tmp_path / "tenants.txt"
    tenants.write_text("acme\nglobex\n")
    result = CliRunner().invoke(app, ["scan-logs", str(log), "--tenants", str(tenants), "--format", "json"])
    document = json.loads(result.stdout)
    assert (result.exit_code, document["verdict"]) == (exit_code, verdict)
    assert list(document) == ["schema", "verdict", "facts", "findings"]
    assert document["schema"] == SCHEMA


def test_a_missing_tenants_file_is_a_usage_error_and_stdin_is_read(tmp_path: Path):
    command = [sys.executable, "-m", "phase5_ops.cli", "scan-logs", "-", "--tenants"]
    missing = subprocess.run([*command, str(tmp_path / "none")], input="", capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (3, "")
    assert "none" in missing.stderr
    (tmp_path / "tenants").write_text("acme\nglobex\n")
    leak = subprocess.run([*command, str(tmp_path / "tenants")], input=OWN + LEAK, capture_output=True, text=True, check=False)
    assert (leak.returncode, leak.stderr) == (1, "")
    assert "stdin line 2" in leak.stdout


def test_the_finding_names_place_owner_and_foreign_id_and_never_the_payload(log: Path):
    log.write_text(OWN + LEAK)
    (finding,) = scan([log]).findings
    assert finding.subject == f"{log} line 2, 2026-11-23T09:08:04.525Z"
    assert (finding.expected, "globex" in finding.seen, "secret" in finding.seen) == ("only tenant acme", True, False)


@pytest.mark.parametrize("kind", ["plain", "gzip", "zstd"])
def test_compressed_files_are_read_like_plain_ones(kind: str, tmp_path: Path):
    content = (OWN + LEAK).encode()
    packed = {"plain": content, "gzip": gzip.compress(content), "zstd": zstd(content)}[kind]
    path = tmp_path / "file.bin"
    path.write_bytes(packed)
    assert codes(scan([path])) == {"foreign_tenant_in_log"}
    path.write_bytes(packed * 2)
    assert scan([path]).facts["lines"] == 4


def test_a_folder_is_read_with_all_its_files_as_one_log(log: Path):
    (log.parent / "two.log").write_text(LEAK)
    assert codes(scan([log.parent])) == {"foreign_tenant_in_log"}


@pytest.mark.parametrize(
    "pack", [gzip.compress, lambda data: pa.Codec("zstd").compress(data, asbytes=True)], ids=["gzip", "zstd"]
)
def test_a_truncated_archive_is_inconclusive_and_what_came_before_is_judged(pack, tmp_path: Path):
    lines = "".join(OWN.replace("trace-1", f"trace-{n}-{n * 7919 % 10007}") for n in range(20_000))
    path = tmp_path / "cut"
    packed = pack(lines.encode())
    path.write_bytes(packed[: len(packed) // 2])
    judgement = scan([path])
    assert codes(judgement) - {"no_log_lines"} == {"log_window_incomplete"}
    assert judgement.verdict == "INCONCLUSIVE"


def test_a_missing_file_and_an_empty_folder_are_errors(tmp_path: Path, log: Path):
    (tmp_path / "empty").mkdir()
    judgement = scan([log, tmp_path / "none", tmp_path / "empty"])
    assert [finding.code for finding in judgement.findings] == ["log_group_unreadable"] * 2
    assert judgement.verdict == "ERROR"


def test_an_empty_dictionary_never_passes(log: Path):
    assert codes(scan([log], [" ", ""])) >= {"no_tenant_ids"}
    assert scan([log], []).verdict == "INCONCLUSIVE"


def test_ids_with_blanks_around_and_duplicates_are_cleaned_and_counted(log: Path, tmp_path: Path):
    path = tmp_path / "ids"
    path.write_bytes(b"\xef\xbb\xbf acme \r\nglobex\r\n\r\nglobex")
    judgement = scan([log], read_tenant_ids(path))
    assert judgement.verdict == "PASS"
    assert (judgement.facts["tenants"], judgement.facts["duplicate_ids"], judgement.facts["blank_ids"]) == (2, 1, 1)


@pytest.mark.parametrize(
    "line",
    [
        "# ids",
        " # ids",
        "globex # prod",
        "globex\t#2",
        "globex (prod)",
        "globex -- prod",
        "globex: prod",
        "acme,globex",
        "acme;eu",
        '"globex"',
        '["globex",',
        "`globex`",
    ],
)
def test_a_line_that_is_more_than_an_id_is_refused_since_no_log_would_name_it(line: str, tmp_path: Path):
    path = tmp_path / "ids"
    path.write_text(f"acme\r\n{line}\r\n")
    with pytest.raises(TenantsUnreadable, match="line 2 is not one tenant id"):
        read_tenant_ids(path)


def test_ids_with_signs_inside_are_ids(tmp_path: Path):
    path = tmp_path / "ids"
    path.write_text("Kunde.7\norg_1f\na#b\no'neil\nTENANT#acme\nacme eu\nacme:eu\n")
    assert len(read_tenant_ids(path)) == 7


def test_an_id_that_is_a_common_word_is_reported(log: Path):
    judgement = scan([log], ["acme", "globex", "null"])
    assert (judgement.verdict, codes(judgement)) == ("WARN", {"tenant_id_not_scannable"})


def test_findings_are_capped_and_the_rest_is_counted(log: Path):
    log.write_text(OWN + LEAK * 1_500)
    judgement = scan([log])
    assert len(judgement.findings) == 1_001
    assert any("500 more hits" in finding.seen for finding in judgement.findings)


def invoke(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command in a process of its own, as a shell starts it."""
    command = [sys.executable, "-m", "phase5_ops.cli", "scan-logs", *map(str, arguments)]
    return subprocess.run(command, input=stdin, capture_output=True, check=False, timeout=60)


def test_stdin_named_twice_and_a_name_that_is_no_text_end_in_findings_and_no_traceback(tmp_path: Path):
    (tmp_path / "ids").write_text("acme\nglobex\n")
    folder = tmp_path / os.fsdecode(b"\xff")
    folder.mkdir()
    (folder / "one.log").write_text(OWN)
    done = invoke("-", "-", folder, "--tenants", tmp_path / "ids", "--format", "json", stdin=OWN.encode())
    assert (done.returncode, done.stderr) == (2, b"")
    document = json.loads(done.stdout)
    assert [finding["code"] for finding in document["findings"]] == ["log_group_unreadable"]
    assert document["facts"]["lines"] == 2


def test_a_pipe_that_gives_one_byte_at_a_time_is_still_recognized():
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(1, size) if size else 0)

    for packed in (gzip.compress(OWN.encode()), zstd(OWN.encode())):
        (text,) = [content.stream.read() for content in contents("pipe", functools.partial(Trickle, packed))]
        assert text == OWN.encode()


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("empty", b"", "INCONCLUSIVE no_log_lines"),
        ("empty.gz", b"", "INCONCLUSIVE no_log_lines"),
        ("nothing.gz", gzip.compress(b""), "INCONCLUSIVE no_log_lines"),
        ("head.gz", gzip.compress(OWN.encode())[:5], "INCONCLUSIVE log_window_incomplete no_log_lines"),
        ("head.zst", zstd(OWN.encode())[:7], "INCONCLUSIVE log_window_incomplete no_log_lines"),
        ("not.gz", b"\x1f\x8b not gzip at all, but it begins so", "INCONCLUSIVE log_window_incomplete no_log_lines"),
        ("binary", bytes(range(256)) * 64, "ERROR log_group_unreadable"),
        ("blank", b"\n" * 1_000, "INCONCLUSIVE nothing_judged"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # the bytes hold the time at which they were packed
)
def test_what_holds_no_line_of_a_tenant_never_passes(name: str, content: bytes, expected: str, tmp_path: Path):
    (tmp_path / name).write_bytes(content)
    judgement = scan([tmp_path / name])
    assert " ".join([judgement.verdict, *sorted(codes(judgement))]) == expected


def test_links_that_lead_round_in_a_circle_end_and_those_that_lead_nowhere_are_told(log: Path):
    (log.parent / "round").symlink_to(log.parent)
    assert scan([log.parent]).verdict == "PASS"
    (log.parent / "self").symlink_to(log.parent / "self")
    assert codes(scan([log.parent])) == {"log_group_unreadable"}


def test_a_link_to_a_folder_elsewhere_is_told_since_it_is_not_followed(log: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir()
    (log.parent / "more").symlink_to(tmp_path / "elsewhere")
    judgement = scan([log.parent])
    assert (judgement.verdict, codes(judgement) - {"no_log_lines"}) == ("ERROR", {"log_group_unreadable"})


def test_a_file_and_a_folder_without_permission_are_errors(log: Path, monkeypatch: pytest.MonkeyPatch):
    closed = log.parent / "closed"
    closed.mkdir()
    listing = os.scandir

    def refuse(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", str(path))
        return listing(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert codes(scan([log.parent])) >= {"log_group_unreadable"}
    monkeypatch.undo()
    monkeypatch.setattr(Path, "open", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    (finding,) = [one for one in scan([log]).findings if one.code == "log_group_unreadable"]
    assert finding.seen.startswith("denied")


def test_one_tenant_alone_shows_nothing(log: Path):
    judgement = scan([log], ["acme"])
    assert (judgement.verdict, codes(judgement)) == ("WARN", {"one_tenant_id"})


def test_ten_thousand_tenants_are_told_apart(log: Path):
    ids = [f"tenant-{number:05d}" for number in range(10_000)]
    lines = [OWN.replace("trace-1", f"trace-{name}").replace("acme", name) for name in ids]
    log.write_text("".join(lines) + LEAK.replace("trace-1", "trace-tenant-00007").replace("globex", "tenant-09999"))
    judgement = scan([log], ids)
    (finding,) = judgement.findings
    assert (finding.expected, "names tenant tenant-09999" in finding.seen) == ("only tenant tenant-00007", True)
    assert judgement.facts["naming"] == 10_001


def test_of_a_line_without_end_the_beginning_is_judged_and_the_rest_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch, log: Path
):
    cut = functools.partial(blocks, size=1_000, longest=4_000, most=20_000)
    monkeypatch.setattr("phase5_ops.input_files.log_parts.blocks", cut)
    log.write_text(OWN + LEAK.strip() + " ." * 20_000 + " globex\n" + OWN + LEAK)
    judgement = scan([log])
    assert codes(judgement) == {"foreign_tenant_in_log", "log_window_incomplete"}
    assert [finding.subject.split(",")[0] for finding in judgement.findings if finding.code == "foreign_tenant_in_log"] == [
        f"{log} line 2",
        f"{log} line 4",
    ]


def test_a_log_of_ordinary_executions_passes(log: Path):
    executions = ordinary_executions(["acme", "globex", "acme-eu"], 1_795_424_883_000)
    log.write_text("\n".join(line.message for execution in executions for line in execution_logs(execution)))
    assert scan([log], ["acme", "globex", "acme-eu"]).verdict == "PASS"


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_width_whatever_the_log_holds(width: int):
    found = Finding("foreign_tenant_in_log", Verdict.FAIL, f"{HOSTILE} line 2", f"only tenant {HOSTILE}", f"{HOSTILE} {RUNBOOK}")
    facts = {"layers": "percent codes, " * 20, "layers_not_searched": "base64, " * 30}
    text = as_text(Judgement(Verdict.FAIL, f"{HOSTILE} of 2 lines", 2, facts, [found]), width)
    assert too_wide_or_steering(text, width) == []
    assert RUNBOOK in text.split()
    assert text.startswith("FAIL  ")
    starts = ("FAIL  ", "  FAIL foreign_tenant_in_log", "    expected  ", "    seen      ", " " * 6)
    assert all(line.startswith(starts) for line in text.splitlines() if "<script>" in line)


@pytest.mark.parametrize("width", WIDTHS)
def test_the_command_keeps_to_the_columns_that_are_given(width: int, log: Path, tmp_path: Path):
    log.write_text(OWN + LEAK.replace("secret", "secret" * 60))
    (tmp_path / "ids").write_text("acme\nglobex\n")
    command = ["scan-logs", str(log), "--tenants", str(tmp_path / "ids")]
    done = CliRunner().invoke(app, command, env={"COLUMNS": str(width)})
    assert (done.exit_code, too_wide_or_steering(done.stdout.rstrip("\n"), width)) == (1, [])
