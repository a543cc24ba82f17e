"""JSON values one after the other from a stream of bytes, each read only as far as it goes. Pure.

What follows a value, or is no value, can be had back as the original bytes.
"""

import codecs
import json
from collections.abc import Callable
from typing import Any

from phase5_ops.input_files.written_twice import WrittenTwice, distinct

_BLANKS = " \t\r\n\ufeff"  # a byte order mark may stand between joined files
_NEAR_END = 16  # characters: a literal or an escape that the end of what was read cuts in two

_BETWEEN_OBJECTS: tuple[str, ...] = ('}{"', '}\n{"')

MOST_CHARACTERS = 64 << 20  # of one value


class NotJson(Exception):
    """No JSON value stands here; `unfinished` where one begins and the stream ends in it."""

    def __init__(self, message: str, *, unfinished: bool = False) -> None:
        super().__init__(message)
        self.unfinished = unfinished


class JsonCursor:
    """A place in a stream of JSON values. Bytes that are not UTF-8 are kept as they are."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        """`read` gives the next bytes, none at the end."""
        self._read = read
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text = ""
        self._at = 0
        self._start = 0  # of what `back` may go back to
        self._ended = False
        self._between = _BETWEEN_OBJECTS
        self.consumed = 0  # characters before `_text`

    @property
    def place(self) -> int:
        """Characters from the beginning of the stream."""
        return self.consumed + self._at

    def mark(self) -> None:
        """Marks this place, so that `back` can return to it."""
        self._start = self._at

    def ahead(self, count: int) -> str:
        """The first `count` characters from the mark on, as far as they were read."""
        return self._text[self._start : self._start + count]

    def since_mark(self) -> str:
        """The text from the mark to here."""
        return self._text[self._start : self._at]

    def back(self) -> None:
        """Goes back to the mark."""
        self._at = self._start

    def rest(self) -> bytes:
        """The bytes from here on that were read already."""
        left = self._text[self._at :].encode("utf-8", "surrogateescape") + self._decoder.getstate()[0]
        self._text, self._at, self._start = "", 0, 0
        return left

    def _more(self, least: int = 1) -> bool:
        """Reads at least `least` characters more, if there are so many; True if any came."""
        parts, count = [], 0
        while count < least and not self._ended:
            chunk = self._read()
            self._ended = not chunk
            parts.append(self._decoder.decode(chunk, final=self._ended))
            count += len(parts[-1])
        kept = self._text[self._start :]
        self.consumed += self._start
        self._text, self._at, self._start = kept + "".join(parts), self._at - self._start, 0
        return count > 0

    def peek(self) -> str:
        """The next character that is no blank; "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANKS:
                self._at += 1
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def follows(self) -> str:
        """The next character, blank or not; "" at the end."""
        if self._at == len(self._text):
            self._more()
        return self._text[self._at : self._at + 1]

    def to_next_object(self, most: int) -> str:
        """The text from here to the end of an object that another one follows at once or on the next line.

        What looks so within a string is taken for it, too. "" where there is none within `most` characters; it is not looked for
        again then, since what stands between objects is the same throughout a stream.
        """
        for between in self._between:
            while (end := self._text.find(between, self._at, self._at + most)) < 0:
                if len(self._text) - self._at >= most or not self._more():
                    break
            else:
                self._between = (between,)
                return self._text[self._at : end + 1]
        self._between = ()
        return ""

    def go_past(self, text: str) -> None:
        """Goes past a text that `to_next_object` gave."""
        self._at += len(text)

    def take(self, expected: str) -> None:
        """Goes past one of these characters.

        Raises:
            NotJson: another one is there.
        """
        seen = self.peek()
        if seen == "" or seen not in expected:
            raise NotJson(f"{expected!r} expected", unfinished=seen == "")
        self._at += 1

    def value(self) -> Any:  # noqa: ANN401 - any JSON value
        """The next value, whole.

        Raises:
            NotJson: there is none, it has a member twice, or is longer than `MOST_CHARACTERS`.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                cut = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _NEAR_END
                if not cut:
                    raise NotJson(f"no JSON: {error.msg}") from error
                if self._ended:
                    raise NotJson(f"no whole JSON: {error.msg}", unfinished=True) from error
            except RecursionError as error:
                raise NotJson("values nested too deep") from error
            except WrittenTwice as error:
                raise NotJson("a member given twice") from error
            else:
                if end < len(self._text) or self._ended:
                    self._at = end
                    return value
            length = len(self._text) - self._at
            if length > MOST_CHARACTERS:
                raise NotJson(f"a value of more than {MOST_CHARACTERS} characters")
            self._more(max(1, length))


_DECODER = json.JSONDecoder(strict=False, object_pairs_hook=distinct)
