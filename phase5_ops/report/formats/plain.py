"""Text from outside as every format can carry it: in one line and printable; and links that a browser may open. Pure."""

import re
from urllib.parse import quote, urlsplit, urlunsplit

from phase5_ops.text import printable

#: What path, query and fragment of a URL keep as they are (RFC 3986); everything else becomes %XX, so that no link ends early in
#: Markdown, XML or a table.
_KEPT = "!$%&'()*+,/:;=?@~"
_HOST = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]*)?")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def one_line(text: str) -> str:
    """The text in one line: whatever is not printable, line ends and what XML forbids among it, is escaped with a backslash."""
    return text if text.isprintable() else printable(text)


def web_link(url: str | None) -> str | None:
    """The URL if it leads to the web, with what RFC 3986 does not allow escaped; None for a file, a script, or no URL at all."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not _HOST.fullmatch(parts.netloc):
        return None
    rest = (quote(_STRAY_PERCENT.sub("%25", each), safe=_KEPT) for each in parts[2:])
    return urlunsplit((parts.scheme, parts.netloc, *rest))
