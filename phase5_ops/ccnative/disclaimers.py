"""Finds sentences in which a text says that it is yet to be written, or that it must not be used. Pure.

Used for the runbook's sections and for alarm descriptions. Instructions are full of negations ("do not close a breaker by hand"),
so a sentence counts only if it is about the text itself: it is such a phrase alone, it begins with such a mark (TODO,
DEPRECATED), or its subject is the section, page, runbook, steps, ... What must not live here: which text is looked at.
"""

import re

from phase5_ops.ccnative.placeholders import says_nothing, visible

_SENTENCE = re.compile(r"(?<=[.!?\u2026])[)\]\"'\u201d]*\s+|\n+")
_SPELLED = re.compile(r"\b(?:[a-z][.\s/]){2,}[a-z]\b\.?")  # T.O.D.O, t.b.d., T B D
_EDGES = re.compile(r"^(?:\[[ x]\]|\[![a-z]+\]|:[a-z_]+:|[\W_])+|[\W_]+$")

_SELF = (
    r"(?:section|page|chapter|part|paragraph|run ?book|play ?book|procedure|documentation|docs?|document|content|contents|text"
    r"|steps?|instructions?|details?|description|information|guide|entry|article|link|url|address)"
)
_WRITTEN = (
    r"(?:(?:re)?written|added|documented|described|filled|provided|defined|created|supplied|inserted|specified|drafted|completed"
    r"|done|determined|decided|announced|confirmed|discussed|clarified|agreed|finished|expanded|prepared|published)"
)
_WRITE = r"(?:write|add|document|describe|fill|complete|provide|define|create|draft|supply|specify|finish|expand|prepare)"
_NOT_YET = (
    rf"(?:(?:will|shall)(?: \w+)? be {_WRITTEN}|(?:is|are) going to be {_WRITTEN}"
    rf"|(?:still |yet )*(?:needs? |(?:has|have) |(?:is|are) )?(?:still |yet )*to be (?:\w+ly )?{_WRITTEN}"
    rf"|not (?:yet |been |fully )*(?:{_WRITTEN}|available|ready|there)(?: yet)?"
    rf"|(?:is |are )?(?:still |currently )*being {_WRITTEN}"
    r"|(?:is |are |be )?(?:still )?(?:under (?:construction|development|review)|work in progress|in progress|in preparation)"
    r"|(?:is |are )?(?:still )?(?:coming (?:soon|later|in)|to follow|to come)"
    r"|(?:is |are )(?:still )?(?:pending|outstanding|missing|unwritten|incomplete|empty)"
    r"|(?:is |are )(?:still |only |just )*an? (?:stub|draft|placeholder|sketch))"
)
_MARK = re.compile(
    r"(?:@?todo|tb[dacw]|fixme|xxx|wip|placeholder|lorem ipsum)\b"
    r"|to[ -]do(?:\s*[:;,(\[\u2013\u2014-]|$)|(?:stub|draft)(?:\s*[:;,(\[]|$)"
)
_POSTPONED = (
    re.compile(rf"(?:{_NOT_YET})(?:\b|$)"),  # the sentence begins with it
    re.compile(rf".*\b{_SELF}\b(?: \w+){{0,5}}? {_NOT_YET}\b"),
    re.compile(rf".*\b{_SELF}\W+(?:todo|tb[dacw]|wip|pending|missing|outstanding)$"),
    re.compile(rf"(?:it|this|these|that) {_NOT_YET}\b"),
    re.compile(
        r"(?:we|i|somebody|someone|(?:\w+ ){1,3}team) (?:will|shall|ll|must|should|still|need|needs|have|has|to|are|is|going| )+"
        rf"{_WRITE}\b"
    ),
    re.compile(
        rf"(?:please )?(?:{_WRITE}|insert|put|explain|update)(?: \w+){{0,6}} ?"
        r"\b(?:here|me|in|out|later|soon|this (?:section|page|part))$"
    ),
    re.compile(r"(?:nothing|no \w+|none)(?: (?:here|yet|so far|to see|written|for now|available))+$"),
    re.compile(rf"(?:no|your|some|more) {_SELF}(?: (?:here|yet|so far|for now|available|goes|go))*$"),
    re.compile(rf"(?:\w+ )?{_SELF} (?:goes?|comes?|belongs?) here$"),
    re.compile(r"you can help\b.*\b(?:expand|add|writ|complet|improv|fill)ing\b"),
    re.compile(
        r"(?:more )?(?:to follow|later|soon|pending|missing|empty|none|stub|draft|watch this space|stay tuned"
        r"|check back(?: \w+)*)$"
    ),
)

_NO_MORE = (
    r"(?:deprecated|obsolete|outdated|out of date|superseded|retired|withdrawn|invalid|wrong|broken|abandoned|discontinued"
    r"|unmaintained|replaced|revoked|void"
    r"|no longer (?:valid|used|in use|maintained|current|correct|applicable|supported|in force|accurate|up to date)"
    r"|not (?:valid|to be used|maintained|current|in force|approved|correct|reviewed|up to date|for use|for production)"
    r"(?: any ?more| any longer| yet)?)"
)
_DO_NOT = (
    r"(?:please )?(?:do not|don t|dont|never|must not|should not|may not|cannot|not to) (?:be )?"
    r"(?:use|used|follow|followed|rely on|apply|applied|trust|trusted|read|open|execute)"
)
_BECAUSE = (  # what follows a "do not use" that is about the text itself and not about other things
    rf"it|this|these|they|we|see|use|please|ask|instead|only|unless|until|without|under|not|old|draft|stub|todo|tb[dacw]|wip|{_NO_MORE}"
)
_DISOWN_MARK = re.compile(
    r"(?:deprecated|obsolete|outdated|superseded|retired|withdrawn|archived|invalid)"
    r"(?:\s*[:;,.!(\[\u2013\u2014-]|\]|\)| use | see | do |$)"
)
_DISOWNED = (
    re.compile(
        rf"{_DO_NOT}(?: (?:it|this|these|that|them|the|our|old|any|{_SELF}))*"
        r"(?: (?:any ?more|any longer|yet|for now|until \w.*|in production|at all))?"
        rf"(?:$|\s*(?:[:;,(\[!]|[\u2013\u2014-](?=\s))\s*(?:{_BECAUSE})\b)"
    ),
    re.compile(rf".*\b{_SELF}\b(?: \w+){{0,3}}? (?:is|are|was|were|has been|have been|now)(?: \w+){{0,2}}? {_NO_MORE}\b"),
    re.compile(rf".*\b(?:this|the|these) {_SELF} {_DO_NOT}\b"),
    re.compile(
        rf"(?:please )?(?:ignore|disregard|skip)(?: (?:it|this|these|the|everything|all|following|below|above|{_SELF}))*$"
    ),
    re.compile(rf"(?:it|this) (?:is|was|has been) {_NO_MORE}$"),
    re.compile(rf"(?:{_NO_MORE})(?: (?:since|by|as of) .*)?$"),
)
#: The word that stands for each link in the text given to `disowns_link`.
LINK = "runbooklink"
_ABOUT_A_LINK = re.compile(
    r"\b(?:deprecated|obsolete|outdated|out of date|superseded|no longer (?:valid|used|in use|maintained|current|correct)"
    r"|todo|to-do|tb[dacw]|fixme|wip|coming soon|work in progress|under construction|placeholder"
    rf"|(?:yet |still )?to be {_WRITTEN}|not yet {_WRITTEN}|will be {_WRITTEN}|draft {_SELF}|an? draft"
    rf"|(?:{_DO_NOT}|ignore|disregard)(?: (?:it|the|this|that|our|old|{_SELF}))*\W+{LINK})\b"
    rf"|{LINK}\W+(?:{_DO_NOT}|ignore|disregard|draft|not valid|invalid|wrong|gone|dead)\b"
)


def sentences(text: str) -> list[str]:
    """The sentences of a text as people see them; every line ends a sentence."""
    lines = [visible(line) for line in text.splitlines()]
    return [sentence for line in lines for sentence in _SENTENCE.split(line) if sentence.strip()]


def says_something(sentence: str) -> bool:
    """True unless a sentence says nothing, or only that something will be written."""
    bare = _bare(sentence)
    return not (not bare or says_nothing(bare) or _MARK.match(bare) or any(each.match(bare) for each in _POSTPONED))


def disowning(text: str) -> str | None:
    """The sentence by which a text says that it must not be used, or None.

    A mark such as DEPRECATED counts where the text begins with it; elsewhere it may be about something else.
    """
    found = sentences(text)
    for number, sentence in enumerate(found):
        bare = _bare(sentence)
        if (number == 0 and _DISOWN_MARK.match(bare)) or any(each.match(bare) for each in _DISOWNED):
            return sentence
    return None


def disowns_link(text: str) -> str | None:
    """The sentence that says that the text's links (each written as `LINK`) must not be used; None if there is none.

    Words beside a link (`TODO`, `do not use`, `deprecated`) are about the link; elsewhere only sentences about the text itself
    count.
    """
    for sentence in sentences(text.replace(";", "\n")):
        beside = sentence.replace(LINK, " ").strip()
        if LINK in sentence and _ABOUT_A_LINK.search(" ".join(_folded(sentence).split())):
            return sentence
        if _bare(beside) and not says_nothing(_bare(beside)) and not says_something(beside):
            return sentence
    first = sentences(text)[:1]
    if first and _MARK.match(_bare(first[0])):
        return first[0]
    return disowning(text.replace(LINK, " "))


def _folded(text: str) -> str:
    """Lower case, apostrophes and dashes plain, spelled-out marks as one word."""
    folded = re.sub(r"[\u2018\u2019'`\u00b4]", " ", visible(text).casefold())
    return _SPELLED.sub(lambda match: re.sub(r"[^a-z]", "", match.group()), folded)


def _bare(sentence: str) -> str:
    """A sentence without list marks, emoji and punctuation around it."""
    return " ".join(_EDGES.sub("", _folded(sentence)).split())
