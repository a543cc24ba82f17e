"""Text from outside as every format can carry it: in one line and printable; and links that a browser may open. Pure."""

from urllib.parse import quote, urlsplit

from phase5_ops.text import printable

#: What a URL keeps as it is; everything else becomes %XX, so that no link ends early in Markdown, XML or a table.
_KEPT = "!#$%&'()*+,/:;=?@[]~"


def one_line(text: str) -> str:
    """The text in one line: whatever is not printable, line ends and what XML forbids among it, is escaped with a backslash."""
    return text if text.isprintable() else printable(text)


def web_link(url: str | None) -> str | None:
    """The URL if it leads to the web, with unusual characters escaped; None for a file, a script, or no URL at all."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return quote(url, safe=_KEPT) if parts.scheme in ("http", "https") and parts.netloc else None
