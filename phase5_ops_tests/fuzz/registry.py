"""Every parser that is fuzzed, and the inputs that are kept of each."""

import base64
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from phase5_ops_tests.fuzz import parsers

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Parser:
    """A parser that is fuzzed.

    Attributes:
        name: of its module.
        reads: what comes from outside, and the functions that read it.
        malformed: what a malformed input must become.
        fuzz: tries one input; raises where it does not become that.
    """

    name: str
    reads: str
    malformed: str
    fuzz: Callable[[bytes], None]

    @property
    def kept_inputs(self) -> list[bytes]:
        """The inputs that are kept of it: those that reach the most code, and each that a fault was found with."""
        path = CORPUS / f"{self.name}.txt"
        lines = path.read_text(encoding="ascii").splitlines() if path.exists() else []
        return [base64.b64decode(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()]


def names() -> list[str]:
    """The names of all parsers."""
    return sorted(module.name for module in iter_modules(parsers.__path__))


@cache
def parser(name: str) -> Parser:
    """The parser of this name."""
    module = import_module(f"{parsers.__name__}.{name}")
    return Parser(name, module.READS, module.MALFORMED, module.fuzz)


def keep(name: str, inputs: list[bytes], why: str = "") -> None:
    """Adds inputs to those that are kept of a parser, each on a line of its own, with the reason."""
    CORPUS.mkdir(exist_ok=True)
    known = {hashlib.sha256(each).digest() for each in parser(name).kept_inputs}
    new = [each for each in inputs if hashlib.sha256(each).digest() not in known]
    with (CORPUS / f"{name}.txt").open("a", encoding="ascii") as file:
        file.writelines(f"{base64.b64encode(each).decode()}{f'  # {why}' if why else ''}\n" for each in new)
