"""Recognizes text that says nothing where something should be said: invisible characters, and words for "no value". Pure.

A field that a program fills from a value it does not have holds `undefined`, `null`, `[object Object]` or a template's own text;
a person who must fill it writes `none`, `n/a` or `unknown`. Invisible characters (zero-width, control, variation selectors,
fillers) do not count. What must not live here: what a certain field must hold.
"""

import re
import unicodedata
from functools import lru_cache

#: Invisible characters of categories that are usually visible: joiners, Hangul and Khmer fillers, the Braille blank.
_UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
_VARIATION_SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0), range(0x180B, 0x1810))

#: What programs and people write for no value. `object` is what is left of `[object Object]`.
_NO_VALUE = frozenset(
    {"undefined", "undef", "null", "nil", "nul", "none", "nan", "na", "void", "empty", "blank", "unset", "missing", "object"}
    | {"unknown", "unspecified", "unassigned", "anonymous", "anon", "nobody", "noone", "tbd", "tba", "todo", "fixme"}
    | {"placeholder", "dummy", "true", "false"}
)
#: Words that name a role anybody may have: with one of the above (`unknown user`) they add nothing.
_ROLE = frozenset(
    {"user", "users", "username", "caller", "requester", "requestor", "requested", "by", "person", "name", "email", "id"}
    | {"value", "string", "the", "a", "an"}
)
#: The same as a phrase; with any other word it may be a sentence that says something (`account not available`).
_NO_REASON = re.compile(
    "reason|(no|not|none|unknown|undefined)( (reason|value|comment))?( (given|provided|specified|stated|available|applicable))?"
)
_TEMPLATE = re.compile(r"\$\{.*?\}|\{\{.*?\}\}|<[^<>]*>|%\([^)]*\)s|%[sv]\b|\$\w+")
_WORD = re.compile(r"[^\W_]+")


@lru_cache(maxsize=65_536)
def visible(text: str) -> str:
    """What people see of a text: compatibility forms folded (NFKC), unseen characters left out, blanks made one."""
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = "".join(" " if char.isspace() else char for char in unicodedata.normalize("NFKC", text))
    return " ".join("".join(char for char in spaced if not _unseen(char)).split())


def _unseen(char: str) -> bool:
    if char == " ":
        return False
    return (
        char in _UNSEEN
        or unicodedata.category(char) in _UNSEEN_CATEGORIES
        or any(ord(char) in each for each in _VARIATION_SELECTORS)
    )


@lru_cache(maxsize=65_536)
def says_nothing(text: str | None) -> bool:
    """True for no text, a blank, signs without a letter or digit, an unfilled template, or only words for "no value"."""
    words = _words(text)
    return (
        not words
        or (not _NO_VALUE.isdisjoint(words) and all(word in _NO_VALUE or word in _ROLE for word in words))
        or _NO_REASON.fullmatch(" ".join(words)) is not None
    )


@lru_cache(maxsize=65_536)
def names_nobody(text: str | None, nobody: frozenset[str] = frozenset()) -> bool:
    """True if a text that should name a person names none.

    Of an address, the part before the @ and a + must name one; of an ARN, what stands last.

    Args:
        text: the name.
        nobody: further names, lower case, that are nobody's: the words of a text may not all be such, or mean a role.
    """
    local, at, _ = visible(text or "").casefold().removeprefix("mailto:").partition("@")
    if at:
        local = local.partition("+")[0]
    elif local.startswith("arn:"):
        local = re.split("[:/]", local)[-1]
    words = _words(local)
    known = {word for name in nobody for word in _words(name)}
    nobodys = known | _NO_VALUE | _ROLE | {"account"}
    return says_nothing(local) or (not known.isdisjoint(words) and nobodys.issuperset(words))


def _words(text: str | None) -> list[str]:
    """The words of a text, lower case; zeros alone are no word, and `n/a` is one."""
    shown = _TEMPLATE.sub(" ", visible(text or "")).casefold()
    shown = re.sub(r"\bn\s*[/.]\s*a\b", "na", shown)
    return [word for word in _WORD.findall(shown) if word.strip("0")]
