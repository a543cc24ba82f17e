"""Which keys a PartiQL statement of DynamoDB names, read from its text in a data-access trail. Pure.

A statement reads the items whose partition key it names by `=` or `IN`. Each alternative (`OR`) is a reading of its own; one that
names no partition key reads the whole table (Developer Guide, "PartiQL select statements"). CloudTrail replaces values by
`***(Redacted)`, and clients write `?`: such a value is hidden and may be any. A statement that cannot be parsed raises an error;
it is never taken for one that names no key.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import NamedTuple

_MOST = 1000  # alternatives, or keys, of one statement; DynamoDB takes 50 values in an IN
_MOST_BRACKETS = 2000  # of one statement that are parsed, some of them twice
ANY = "*"  # stands for an attribute whose name is hidden

HIDDEN = re.compile(r"\*{3,}\s*\(?\s*redacted\s*\)?|HIDDEN_DUE_TO_SECURITY_REASONS|\*{3,}", re.IGNORECASE)

_TOKEN = re.compile(
    rf"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<hidden>{HIDDEN.pattern}|\?)
    |(?P<text>'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<word>[A-Za-z_$#][\w.$\-]*)
    |(?P<sign><>|<=|>=|!=|<<|>>|\|\||[=<>(){{}}\[\],.:;+*/-])""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_COMPARED = frozenset({"=", "<>", "!=", "<", ">", "<=", ">="})


class StatementNotUnderstood(Exception):
    """The text is no statement that this module reads."""


class PartiqlToken(NamedTuple):
    """A piece of a statement; `kind` as in `_TOKEN`."""

    kind: str
    text: str

    def is_(self, *words: str) -> bool:
        """Whether it is one of these signs or (unquoted) words."""
        return self.kind in ("word", "sign") and self.text.upper() in words


#: Attribute -> values that it is compared with; None for a hidden value.
Alternative = Mapping[str, tuple[str | None, ...]]


@dataclass(frozen=True, slots=True)
class NamedKey:
    """What one reading of a statement names: attributes with their texts, and those whose values are hidden."""

    attributes: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()

    @property
    def names_nothing(self) -> bool:
        """Whether it reads the whole table."""
        return not self.attributes and not self.hidden


@dataclass(frozen=True, slots=True)
class PartiqlStatement:
    """A statement: its table and index, whether it writes, and the keys that it names."""

    table: str
    index: str
    writes: bool
    inserts: bool
    keys: tuple[NamedKey, ...]


def read_statement(text: str) -> PartiqlStatement:
    """The statement in a text.

    Raises:
        StatementNotUnderstood: it is none, or holds what this module does not read.
    """
    try:
        return _Parser(_tokens(text)).statement()
    except RecursionError as error:
        raise StatementNotUnderstood("nested too deep") from error


def _tokens(text: str) -> list[PartiqlToken]:
    found, position = [], 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise StatementNotUnderstood(f"at {text[position : position + 20]!r}")
        kind = str(match.lastgroup)
        if kind in ("text", "quoted") and HIDDEN.search(match.group()):
            kind = "hidden"  # even if part of it is shown
        if kind != "space":
            found.append(PartiqlToken(kind, match.group()))
        position = match.end()
    return found


def _value(token: PartiqlToken) -> str | None:
    """The text of a literal; None for a hidden one."""
    return None if token.kind == "hidden" else token.text[1:-1].replace("''", "'") if token.kind == "text" else token.text


def _name(token: PartiqlToken) -> str:
    return token.text[1:-1].replace('""', '"') if token.kind == "quoted" else token.text


class _Parser:
    """Recursive descent over the tokens of one statement."""

    def __init__(self, tokens: Sequence[PartiqlToken]) -> None:
        self._tokens = tokens
        self._at = 0
        self._brackets = 0

    # --- statements ----------------------------------------------------------------------------------------------------------

    def statement(self) -> PartiqlStatement:
        """The whole text as one statement."""
        if self._take("EXISTS"):  # a condition of a transaction
            self._expect("(")
            found = self._select()
            self._expect(")")
        elif self._next_is("SELECT"):
            found = self._select()
        elif self._take("INSERT"):
            self._expect("INTO")
            table, index = self._target()
            found = PartiqlStatement(table, index, writes=True, inserts=True, keys=(self._inserted(),))
        elif self._take("UPDATE"):
            found = self._changed(*self._target())
        elif self._take("DELETE"):
            self._expect("FROM")
            found = self._changed(*self._target())
        else:
            raise StatementNotUnderstood("it begins with no SELECT, INSERT, UPDATE or DELETE")
        self._take(";")
        if self._at < len(self._tokens):
            raise StatementNotUnderstood(f"at {self._tokens[self._at].text!r}")
        return found

    def _select(self) -> PartiqlStatement:
        self._expect("SELECT")
        self._skip_to("FROM")
        self._expect("FROM")
        table, index = self._target()
        keys = self._where()
        if self._take("ORDER"):
            while self._at < len(self._tokens) and not self._next_is(")", ";"):
                self._at += 1
        return PartiqlStatement(table, index, writes=False, inserts=False, keys=keys)

    def _changed(self, table: str, index: str) -> PartiqlStatement:
        """What follows the target of UPDATE and DELETE."""
        self._skip_to("WHERE", "RETURNING")
        keys = self._where()
        if self._take("RETURNING"):
            self._at = len(self._tokens)
        return PartiqlStatement(table, index, writes=True, inserts=False, keys=keys)

    def _target(self) -> tuple[str, str]:
        """Table and index."""
        token = self._any("word", "quoted")
        if token.kind == "word" and token.text.endswith("."):  # TABLE."index"
            return token.text[:-1], _name(self._any("quoted", "word"))
        return _name(token), _name(self._any("word", "quoted")) if self._take(".") else ""

    def _inserted(self) -> NamedKey:
        """The text attributes of the item of an INSERT; attributes of other types cannot name a tenant."""
        self._expect("VALUE", "VALUES")
        if self._hidden():
            return NamedKey(hidden=frozenset({ANY}))
        self._expect("{")
        attributes, hidden = {}, set()
        while not self._take("}"):
            label = self._any("text", "quoted", "hidden")
            name = ANY if label.kind == "hidden" else _name(label) if label.kind == "quoted" else str(_value(label))
            self._expect(":")
            value = self._next()
            self._skip_value()
            if value.kind == "hidden" or name == ANY:
                hidden.add(name)
            elif value.kind == "text":
                attributes[name] = str(_value(value))
            if not self._next_is("}"):
                self._expect(",")
        if self._take("IF"):
            self._expect("NOT")
            self._expect("EXISTS")
        return NamedKey(attributes, frozenset(hidden))

    def _where(self) -> tuple[NamedKey, ...]:
        alternatives: Sequence[Alternative] = self._or() if self._take("WHERE") else [{}]
        keys = [key for alternative in alternatives for key in _keys(alternative)]
        if len(keys) > _MOST:
            raise StatementNotUnderstood("it names too many keys")
        return tuple(keys)

    # --- conditions: the alternatives of a condition ---------------------------------------------------------------------------

    def _or(self) -> Sequence[Alternative]:
        found = list(self._and())
        while self._take("OR"):
            found += self._and()
        return found

    def _and(self) -> Sequence[Alternative]:
        found = self._not()
        while self._take("AND"):
            pairs = list(product(found, self._not()))
            if len(pairs) > _MOST:
                raise StatementNotUnderstood("it has too many alternatives")
            found = [_both(left, right) for left, right in pairs]
        return found

    def _not(self) -> Sequence[Alternative]:
        if self._take("NOT"):
            self._not()
            return [{}]  # NOT leaves every other key
        return self._bracketed() if self._next_is("(") else self._predicate()

    def _bracketed(self) -> Sequence[Alternative]:
        """A condition in brackets, or a predicate whose first operand is in brackets."""
        start = self._at
        self._brackets += 1
        if self._brackets > _MOST_BRACKETS:
            raise StatementNotUnderstood("too many brackets")
        try:
            self._expect("(")
            found = self._or()
            self._expect(")")
        except StatementNotUnderstood:
            self._at = start
            return self._predicate()
        if self._next_is(*_COMPARED, "IN", "BETWEEN", "IS"):
            self._at = start
            return self._predicate()
        return found

    def _predicate(self) -> Sequence[Alternative]:
        left = self._operand()
        if self._take("="):
            return [_equal(left, [self._operand()])]
        if self._take(*(_COMPARED - {"="})):
            self._operand()
        elif self._take("IN"):
            return [_equal(left, list(self._list()))]
        elif self._take("NOT"):
            self._expect("IN")
            list(self._list())
        elif self._take("BETWEEN"):
            self._operand()
            self._expect("AND")
            self._operand()
        elif self._take("IS"):
            self._take("NOT")
            self._any("word")
        elif left is not None and left.kind == "hidden":
            return [{ANY: (None,)}]  # the whole condition is hidden
        elif left is not None:
            raise StatementNotUnderstood(f"nothing is asked of {left.text!r}")
        return [{}]

    def _list(self) -> Iterator[PartiqlToken | None]:
        if (hidden := self._hidden()) is not None:
            yield hidden
            return
        closing = "]" if self._take("[") else ")" if self._take("(") else ">>" if self._take("<<") else ""
        if not closing:
            raise StatementNotUnderstood("IN without a list")
        while not self._take(closing):
            yield self._operand()
            if not self._next_is(closing):
                self._expect(",")

    def _operand(self) -> PartiqlToken | None:
        """A name, a literal, or something hidden; None for a computed value."""
        found = self._single()
        while self._take("+", "-", "||", "*", "/"):
            self._single()
            found = None
        return found

    def _single(self) -> PartiqlToken | None:
        if self._next_is("("):
            self._take("(")
            inner = self._operand()
            self._expect(")")
            return inner
        if self._next_is("[", "{", "<<"):
            self._skip_value()
            return None
        token = self._any("word", "quoted", "text", "number", "hidden")
        if token.kind == "word" and self._next_is("("):  # a function
            self._skip_value()
            return None
        whole = True
        while self._next_is("[", ".") and token.kind in ("word", "quoted"):  # a part of an attribute
            whole = False
            if self._take("."):
                self._any("word", "quoted")
            else:
                self._skip_value()
        return token if whole else None

    # --- tokens ----------------------------------------------------------------------------------------------------------------

    def _next(self) -> PartiqlToken:
        """The next token; an empty one at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else PartiqlToken("", "")

    def _next_is(self, *words: str) -> bool:
        return self._next().is_(*words)

    def _take(self, *words: str) -> bool:
        taken = self._next_is(*words)
        self._at += taken
        return taken

    def _expect(self, *words: str) -> None:
        if not self._take(*words):
            raise StatementNotUnderstood(f"no {' or '.join(words)} where there should be one")

    def _any(self, *kinds: str) -> PartiqlToken:
        token = self._next()
        if token.kind not in kinds:
            raise StatementNotUnderstood(f"at {token.text!r}")
        self._at += 1
        return token

    def _hidden(self) -> PartiqlToken | None:
        return self._any("hidden") if self._next().kind == "hidden" else None

    def _skip_to(self, *words: str) -> None:
        """Up to a word outside of all brackets, or the end."""
        while self._at < len(self._tokens) and not self._next_is(*words):
            self._skip_value()

    def _skip_value(self) -> None:
        """One token, or all up to the bracket that closes the one it opens."""
        depth = 0
        while self._at < len(self._tokens):
            depth += self._next_is("(", "[", "{", "<<") - self._next_is(")", "]", "}", ">>")
            self._at += 1
            if depth <= 0:
                return
        raise StatementNotUnderstood("a bracket is not closed")


def _equal(left: PartiqlToken | None, values: Sequence[PartiqlToken | None]) -> Alternative:
    """What a comparison with `=` or IN names; `'x' = pk` is read like `pk = 'x'`."""
    if left is not None and left.kind in ("text", "number") and len(values) == 1 and values[0] is not None:
        left, values = values[0], [left]
    if left is None or left.kind in ("text", "number"):
        return {}
    if any(value is None or value.kind in ("word", "quoted") for value in values):
        return {}  # compared with another attribute or a computed value
    name = ANY if left.kind == "hidden" else _name(left)
    return {name: tuple(None if name == ANY else _value(value) for value in values if value is not None)} if values else {}


def _both(left: Alternative, right: Alternative) -> Alternative:
    """Two conditions that hold together: every value that either names."""
    return {name: tuple(dict.fromkeys((*left.get(name, ()), *right.get(name, ())))) for name in (*left, *right)}


def _keys(alternative: Alternative) -> Iterator[NamedKey]:
    """Every combination of the values that an alternative names."""
    if prod(map(len, alternative.values())) > _MOST:
        raise StatementNotUnderstood("it names too many keys")
    for chosen in product(*alternative.values()):
        named = dict(zip(alternative, chosen, strict=True))
        yield NamedKey(
            {name: value for name, value in named.items() if value is not None},
            frozenset(name for name, value in named.items() if value is None),
        )
