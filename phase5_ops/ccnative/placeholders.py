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

#: What programs and people write for no value.
_NO_VALUE = frozenset(
    {"undefined", "undef", "null", "nul", "none", "unknown", "unspecified", "unassigned", "anonymous", "anon", "nobody", "noone"}
    | {"tbd", "tba", "todo", "fixme"}
)
#: The same where no other word says more (`missing email`). `object` is what is left of `[object Object]`.
_EMPTY = frozenset(
    {"void", "empty", "blank", "unset", "missing", "object", "placeholder", "dummy", "true", "false", "nothing"}
    | {"ditto", "idem"}
)
#: The same, and people's names (`An Na`).
_NO_NUMBER = frozenset({"na", "nan", "nil"})
#: Words that name a role anybody may have: with a word for no value (`unknown user`) they add nothing.
_ROLE = frozenset(
    {"user", "users", "username", "caller", "requester", "requestor", "requested", "by", "person", "name", "email", "id"}
    | {"value", "string", "the", "a", "an"}
)
#: What a text is asked for by: alone, or with words for no value, it gives none (`reason: none`).
_LABEL = frozenset({"reason", "reasons", "comment", "comments", "justification", "explanation", "rationale", "remark", "remarks"})
#: What says that a text was not given (`not provided`).
_DENIAL = frozenset({"no", "not", "without"})
_GIVEN = frozenset(
    {"given", "provided", "specified", "stated", "supplied", "entered", "recorded", "set", "left", "available", "applicable"}
    | {"known", "was", "is", "were", "has", "been", "yet", "value", "values", "string", "text"}
)
#: What adds nothing to a label or to a word for no value; with a denial alone it may say something (`not needed`).
_FILLING = frozenset(
    {"any", "specific", "particular", "special", "real", "further", "needed", "required", "necessary", "change", "replay"}
    | {
        "for",
        "of",
        "it",
        "this",
        "that",
        "the",
        "a",
        "an",
        "there",
        "at",
        "all",
        "whatsoever",
        "time",
        "now",
        "found",
        "add",
        "to",
    }
)
_ARTICLES = frozenset({"a", "an", "the"})
#: Spellings, and what they mean.
_SPELLINGS = {r"\bn\s*[/.]\s*a\b": "none", r"\bno[ -]one\b": "noone", r"n['\u2019]t\b": " not"}
#: A field's name before its text: one to three words without a digit, which no ticket's number is.
_FIELD = re.compile(r"\W*[^\W\d]+(?: [^\W\d]+){0,2}\W*[:=](?P<text>.+)", re.DOTALL)
_BY_A_ROLE = re.compile(r"\b(?:by|from) (?:the |a )?(?:user|caller|requester|requestor|person)\b")
_TEMPLATE = re.compile(r"%%[^%]*%%|\$\{.*?\}|\{\{.*?\}\}|<[^<>]*>|%\([^)]*\)s|%[sv]\b|\$\w+")
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
    """True for no text, a blank, signs without a letter or digit, an unfilled template, or only words for "no value".

    So do a label without its text, and a denial that it was given (`Details: n/a`, `no reason was given`).
    """
    field = _FIELD.fullmatch(visible(text or ""))
    if field is not None and _words(field["text"]) and says_nothing(field["text"]):
        return True
    words = set(_BY_A_ROLE.sub(" ", " ".join(_words(text))).split())
    if not words or (words & _NO_VALUE and words <= _NO_VALUE | _ROLE):
        return True
    nothing = _NO_VALUE | _EMPTY | _NO_NUMBER | _DENIAL
    if words & (_NO_VALUE | _LABEL):
        return words <= nothing | _GIVEN | _LABEL | _FILLING
    return bool(words & nothing) and words <= nothing | _GIVEN


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
    words = set(_words(local))
    nobodys = {word for name in nobody for word in _words(name)} | _NO_VALUE | _EMPTY
    if words & _DENIAL and words - _DENIAL - _ARTICLES and words <= _DENIAL | _GIVEN | _ROLE:
        return True
    return says_nothing(local) or bool(words & nobodys and words <= nobodys | _NO_NUMBER | _ROLE | {"account"})


def _words(text: str | None) -> list[str]:
    """The words of a text, lower case, those of `camelCase` apart; zeros alone are no word."""
    shown = re.sub(r"(?<=[a-z][a-z])(?=[A-Z])", " ", _TEMPLATE.sub(" ", visible(text or ""))).casefold()
    for pattern, meant in _SPELLINGS.items():
        shown = re.sub(pattern, meant, shown)
    return [word for word in _WORD.findall(shown) if word.strip("0")]
