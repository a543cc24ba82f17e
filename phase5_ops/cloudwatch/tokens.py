"""A token stream for the small languages of CloudWatch: one regular expression, one cursor, errors that say where."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar

_Part = TypeVar("_Part")

END = "end"
"""Kind of the token after the last one."""

_MAX_DEPTH = 60  # deeper nesting than any real expression, and far below Python's own recursion limit


@dataclass(frozen=True, slots=True)
class Token:
    """One token: the name of the group that matched, its text as written, its offset in the source."""

    kind: str
    text: str
    at: int


class TokenStream:
    """The tokens of `source`, read once from left to right.

    Args:
        source: the text to read.
        pattern: alternatives as named groups; the group `space` is dropped.
        error: the exception (a ValueError) that every failure raises.
    """

    def __init__(self, source: str, pattern: re.Pattern[str], error: type[ValueError]) -> None:
        self._source = source
        self._error = error
        self._depth = 0
        self._at = 0
        self._tokens = list(self._scan(pattern))

    def _scan(self, pattern: re.Pattern[str]) -> Iterator[Token]:
        at = 0
        while at < len(self._source):
            match = pattern.match(self._source, at)
            if match is None or match.end() == at:
                raise self._error(f"unexpected {self._source[at]!r} at position {at} of {self._shown}")
            if match.lastgroup != "space":
                yield Token(str(match.lastgroup), match.group(), at)
            at = match.end()
        yield Token(END, "", at)

    @property
    def _shown(self) -> str:
        return repr(self._source if len(self._source) <= 200 else self._source[:197] + "...")  # noqa: PLR2004 - a line of text

    @property
    def next(self) -> Token:
        """The token to be read next, left where it is."""
        return self._tokens[self._at]

    @property
    def after_next(self) -> Token:
        """The token after the next one."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)]

    def take(self) -> Token:
        """Reads the next token."""
        token = self.next
        if token.kind != END:
            self._at += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        """Reads the next token if it is written as one of `texts`."""
        return self.take() if self.next.kind != END and self.next.text in texts else None

    def accept_kind(self, *kinds: str) -> Token | None:
        """Reads the next token if it is of one of `kinds`."""
        return self.take() if self.next.kind in kinds else None

    def accept_keyword(self, *words: str) -> str | None:
        """Reads the next token if it is one of the upper-case `words`, whatever its case; returns the upper-case word."""
        upper = self.next.text.upper()
        if self.next.kind == "word" and upper in words:
            self.take()
            return upper
        return None

    def name(self, quoted: str, what: str = "a name") -> str:
        """Reads a name that is written bare (kind `word`) or in quotes (kind `quoted`), and returns it without them."""
        token = self.accept_kind(quoted, "word") or self.fail(f"expected {what}")
        return unquote(token.text) if token.kind == quoted else token.text

    def separated(self, read: Callable[["TokenStream"], _Part], separator: str = ",") -> list[_Part]:
        """Reads one part, and another after every separator."""
        parts = [read(self)]
        while self.accept(separator):
            parts.append(read(self))
        return parts

    def expect(self, text: str) -> Token:
        """Reads `text`, or fails."""
        return self.accept(text) or self.fail(f"expected {text!r}")

    def expect_end(self) -> None:
        """Fails unless everything was read."""
        if self.next.kind != END:
            self.fail("expected the end")

    def fail(self, message: str) -> NoReturn:
        """Raises the language's error with the place in the source."""
        seen = repr(self.next.text) if self.next.kind != END else "the end"
        raise self._error(f"{message}, found {seen} at position {self.next.at} of {self._shown}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Counts nesting, so that a text of ten thousand parentheses is an error and not a crash."""
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"nested deeper than {_MAX_DEPTH} levels: {self._shown}")
        try:
            yield
        finally:
            self._depth -= 1


def unquote(text: str) -> str:
    r"""The text inside a pair of quotes, with backslash escapes (`\"`, `\\`) resolved."""
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
