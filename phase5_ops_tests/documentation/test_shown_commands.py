"""Every `phase5` command that README and the documents show is one that the command line takes; those that only read are run."""

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer

import phase5_ops
from phase5_ops.cli import app as cli
from phase5_ops.sandbox.server import Sandbox

ROOT = Path(phase5_ops.__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_SHOWN = re.compile(r"`(?:\.venv/bin/)?phase5 ([^`\n]+)`|^ *(?:\$ )?(?:\.venv/bin/)?phase5 ((?:[^\n\\]|\\\n)+)$", re.MULTILINE)
#: What stands for something else in a document, and an example of it.
STANDS_FOR = {
    r"\[RELEASE\]|\bRELEASE\b": "2026.11.3",
    r"sha256:(\.\.\.|<64 hex digits>|\$\{?\w+\}?)": "sha256:" + "a" * 64,
    r"\bROLE\b": "ops-sre",
    r"\bFILE\b|\bPATH\b": "file.json",
    r"\bRUN(_ID)?\b": "2b57038c",
    r"<run id>": "2b57038c",
    r"\bCODE\b": "breaker_open",
    r"\b(NAME|ROW)\b": "1.2",
    r"\bN\b": "1",
}
#: Commands that only read, as they are shown: they are run on a small platform and a run of one row.
READING = (
    "check --row 2.1",
    "sandbox --list",
    "explain 1.2",
    "iam-policy --for pipeline",
    "iam-policy --for signer --role ops-sre",
    "history",
    "history --row 1.2 --last 50",
    "report RUN",
    "status",
    "releases",
    "init --check",
)


def shown() -> Iterator[tuple[str, str]]:
    """Document and command, without `phase5`; a comment behind it and a broken line are taken out."""
    for document in DOCUMENTS:
        for match in _SHOWN.finditer(document.read_text(encoding="utf-8")):
            command = re.sub(r"\\\n\s*", " ", match[1] or match[2])
            command = re.sub(r"\s+#\s.*$|\s*[|>].*$", "", command.replace("<64 hex digits>", "...").replace("<run id>", "RUN"))
            yield document.name, command.strip()


SHOWN = sorted(set(shown()))


def taken(command: str) -> list[str]:
    """The words of a command with examples for what stands for something else, without an ellipsis."""
    for pattern, example in STANDS_FOR.items():
        command = re.sub(pattern, example, command)
    return [word.removesuffix("...") for word in shlex.split(command) if word != "..."]


@pytest.mark.parametrize(("document", "command"), SHOWN, ids=lambda each: each)
def test_a_command_that_is_shown_is_taken(document: str, command: str):
    """Its options exist and take what is given; where it is shown in part, what is shown of it."""
    words, group = taken(command), typer.main.get_command(cli.app)
    context = group.make_context("phase5", ["--help"], resilient_parsing=True)
    while isinstance(group, typer.core.TyperGroup) and words and group.get_command(context, words[0]) is not None:
        name, *words = words
        group = group.get_command(context, name)
    assert group is not None
    assert not isinstance(group, typer.core.TyperGroup) or not words or words[0].startswith("-"), f"no command {command!r}"
    known = {option for parameter in group.params for option in (*parameter.opts, *parameter.secondary_opts)}
    used = {word.split("=")[0] for word in words if re.match(r"--?[a-z]", word)}
    assert used <= known | {"--help"}, f"{document}: phase5 {command}"


def test_documents_show_enough_commands_for_this_to_mean_something():
    assert len(SHOWN) >= 50


@pytest.mark.slow
def test_what_only_reads_is_run(start: Callable[[str], Sandbox], capsys: pytest.CaptureFixture[str], monkeypatch, tmp_path):
    start("healthy")
    monkeypatch.chdir(tmp_path)
    for command in READING:
        runs = [path.name for path in (tmp_path / "state" / "evidence").glob("*-*")]
        words = [runs[0] if word == "RUN" else word for word in shlex.split(command)]
        monkeypatch.setattr(sys, "argv", ["phase5", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        assert end.value.code in (0, 1, 2), f"phase5 {command}: {said.err}"
        assert said.out or words[0] == "report", command
        assert words[0] != "report" or list((tmp_path / "state").rglob("report.html"))
