"""The commands that README and the documents show, and how one is run from the words that stand there.

What must not live here: which commands a test runs, and what comes of them; that is in the tests.
"""

import io
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from phase5_ops.cli import app as cli
from phase5_ops_tests.places import ROOT

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
_SHOWN = re.compile(r"`(?:\.venv/bin/)?phase5 ([^`\n]+)`|^ *(?:\$ )?(?:\.venv/bin/)?phase5 ((?:[^\n\\]|\\\n)+)$", re.MULTILINE)


def shown() -> Iterator[tuple[str, str]]:
    """Document and command, without `phase5`; a comment behind it and a broken line are taken out."""
    for document in DOCUMENTS:
        for match in _SHOWN.finditer(document.read_text(encoding="utf-8")):
            command = re.sub(r"\\\n\s*", " ", match[1] or match[2])
            command = re.sub(r"\s+#\s.*$|\s*[|>].*$", "", command.replace("<64 hex digits>", "...").replace("<run id>", "RUN"))
            yield document.name, " ".join(command.split())


SHOWN = sorted(set(shown()))
COMMANDS = frozenset(command for _, command in SHOWN)


@dataclass(frozen=True)
class Step:
    """A command as a document shows it, and what comes of it.

    Attributes:
        shown: the command, as `shown` has it.
        code: its exit code.
        says: what stands in its output (stdout, or stderr where it refuses), among other things.
        given: what stands in place of a placeholder, or of a name or moment that is an example; several words where it holds
            several, none where it is empty. Beside what the walk knows from earlier commands.
        before, after: what happens before it, and what is seen afterwards, of the walk's world and its output.
    """

    shown: str
    code: int = 0
    says: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Any], None] | None = None
    after: Callable[[Any, str], None] | None = None

    def words(self, known: Mapping[str, str]) -> list[str]:
        """The words that are run."""
        values = {**known, **self.given}
        words: list[str] = []
        for word in shlex.split(self.shown):
            if word in values:
                words += shlex.split(values[word])
            else:
                folder, slash, name = word.rpartition("/")
                words.append(f"{folder}{slash}{values.get(name, name)}")
        left = [word for word in words if is_placeholder(word)]
        assert left == [], f"nothing stands for {left} of {self.shown!r}"
        return words


def is_placeholder(word: str) -> bool:
    """Whether a word of a command stands for something else."""
    return re.fullmatch(r"\[?[A-Z]+(_ID)?(\.\.\.)?\]?|sha256:\.\.\.|\.\.\.", word) is not None


class Terminal(io.StringIO):
    """A terminal on which a person answers every question with yes."""

    def isatty(self) -> bool:
        return True

    def readline(self, _size: int = -1) -> str:  # type: ignore[override]
        return "y\n"


def walk(steps: tuple[Step, ...], world: Any, known: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Runs the commands one after the other through the command line's own entry, as a person at a terminal does."""
    monkeypatch.setattr(sys, "stdin", Terminal())
    for step in steps:
        if step.before is not None:
            step.before(world)
        words = step.words(known)
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["phase5", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capsys.readouterr()
        where = f"phase5 {' '.join(words)}\n{said.out}\n{said.err}"
        assert end.value.code == step.code, where
        assert said.out or said.err or "--output" in words, where
        whole = _in_one_line(said.out + said.err)
        for text in step.says:
            assert _in_one_line(text) in whole, f"{text!r} is not said by {where}"
        if step.after is not None:
            step.after(world, said.out)


def _in_one_line(text: str) -> str:
    """Without the lines' ends and indents, which depend on a width."""
    return " ".join(text.split())


def is_whole(command: str) -> bool:
    """Whether a command can be run as it is shown: nothing stands for something else, nothing that it needs is left out."""
    words = shlex.split(command)
    if any(map(is_placeholder, words)):
        return False
    group = typer.main.get_command(cli.app)
    context = group.make_context("phase5", ["--help"], resilient_parsing=True)
    while isinstance(group, TyperGroup) and words and (found := group.get_command(context, words[0])) is not None:
        words, group = words[1:], found
    try:
        group.make_context("phase5", list(words))
    except TyperException:  # something that it needs is left out
        return False
    except typer.Exit:  # it was --help
        pass
    return True


def is_part_of(command: str, run: str) -> bool:
    """Whether a command that names another one in short names this one: its words are among those of it, in their order."""
    rest = iter(shlex.split(run))
    for word in shlex.split(command):
        if word.startswith("...") or word.startswith("["):
            continue
        if not any(is_placeholder(word) or is_placeholder(each) or each == word for each in rest):
            return False
    return shlex.split(command)[0] == shlex.split(run)[0]
