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

#: What a text may call itself; some of it names other things, too (a connector's address, a document of a tenant).
_SELF = (
    r"(?:section|page|chapter|part|paragraph|run ?book|play ?book|procedure|documentation|docs?|document|content|contents|text"
    r"|steps?|instructions?|details?|description|information|guide|entry|article|link|url|address)"
)
#: What, in a runbook, names the runbook or a part of it.
_TEXT = r"(?:section|page|chapter|run ?book|play ?book|procedure|documentation|docs|guide|article|steps|instructions)"
#: The same after `this`: `this document` is the runbook, `the document` may be a tenant's.
_THIS_TEXT = rf"(?:{_TEXT}|document|doc|text|contents?|information|details|paragraph|part)"
_NOTICE = r"(?:(?:please )?note(?: that)?\W+|(?:warning|caution|attention|important|danger|notice|update|edit)\W+)?"
_OF_TEXT = r"(?:the|our|all|both|most|some|parts?|of|following|above|old|whole|entire|current|existing|these|this)"
#: The subject of a sentence in which a runbook speaks of itself.
_ITSELF = (
    rf"(?:\b(?:this|these) (?:(?:run ?book|alert|alarm|whole|entire|old|wiki|following) )?{_THIS_TEXT}"
    rf"|^{_NOTICE}(?:(?:{_OF_TEXT} )+|(?!page|guide)){_TEXT}|\bthe {_THIS_TEXT} (?:below|above|here))\b"
)
#: What makes the rest of a sentence a case that may come, and not what is so.
_CASE = re.compile(r"\b(?:if|when|whenever|whether|unless|until|once|while|in case)\b")

_WRITTEN = (
    r"(?:(?:re)?written|added|documented|described|filled|provided|defined|created|supplied|inserted|specified|drafted|completed"
    r"|done|determined|decided|announced|confirmed|discussed|clarified|agreed|finished|expanded|prepared|published|implemented"
    r"|worked out|sorted out)"
)
_WRITE = r"(?:write|add|document|describe|fill|complete|provide|define|create|draft|supply|specify|finish|expand|prepare)"
_NOT_YET = (
    rf"(?:(?:will|shall)(?: \w+)? be {_WRITTEN}|(?:is|are) going to be {_WRITTEN}"
    rf"|(?:still |yet )*(?:needs? |(?:has|have) |(?:is|are) )?(?:still |yet )*to be (?:\w+ly )?{_WRITTEN}"
    rf"|not (?:yet |been |fully )*(?:{_WRITTEN}|available|ready|there)(?: yet)?"
    rf"|(?:is |are )?(?:still |currently )*being {_WRITTEN}"
    r"|(?:is |are |be )?(?:still )?(?:under (?:construction|development|review)|work in progress|in progress|in preparation)"
    r"|(?:is |are )?(?:still )?(?:coming (?:soon|later|in)|to follow|to come)"
    r"|(?:is |are )(?:still |currently )*(?:pending|outstanding|missing|unwritten|incomplete|empty)"
    r"|(?:is |are )(?:still |only |just )*an? (?:stub|draft|placeholder|sketch))"
)
#: What follows where something else than the text is missing or pending, or where the sentence goes on to what must be done.
_ELSEWHERE = r"(?! (?:in|from|on|of|at|to) (?!this\b)|\s*[:;,?\u2013\u2014-]\s*(?!todo|tb[dacw]|wip|sorry)\w)"
_MARK = re.compile(
    r"(?:@?todo|tb[dacw]|fixme|xxx|wip|placeholder|lorem ipsum)\b"
    r"|to[ -]do(?:\s*[:;,(\[\u2013\u2014-]|$)|(?:stub|draft)(?:\s*[:;,(\[]|$)"
)
_WHAT_TO_DO = rf"(?:{_SELF}|actions?|process|plan|mitigation|remediation|response|escalation(?: path)?|guidance|checklist|sop)"
_SO_FAR = (
    rf"(?: (?:(?:is|are|was|were|has|have|been|not) )*(?:exists?|yet|so far|at present|at the moment|right now|at this time"
    rf"|for now|currently|available|here|in place|{_WRITTEN}))"
)
_FOR_THIS = r"(?: (?:for|to|of|on) (?:this|these|the|it|that|such)(?: \w+){0,3}?)?"
_THERE_IS_NO = (
    r"(?:there (?:is|are) (?:currently |as yet |still |yet )*(?:no|not (?:yet )?an?)|there (?:isn|aren) t (?:any|an?)|we have no"
    r"|(?:we|i) (?:do not|don t) (?:yet |currently )?have (?:any|an?))"
)
_POSTPONED = (
    re.compile(rf"(?:{_NOT_YET})(?:\b|$)(?! of\b)"),  # the sentence begins with it
    re.compile(rf".*\b{_SELF}\W+(?:todo|tb[dacw]|wip|pending|missing|outstanding)$"),
    re.compile(rf"(?:\w+ ){{0,3}}{_SELF}\W+(?:todo|tb[dacw]|wip) (?:after|in|by|with|once|when|until|before|from|later|soon)\b"),
    re.compile(rf"(?:it|this|these|that) {_NOT_YET}\b"),
    re.compile(
        r"(?:we|i|somebody|someone|(?:\w+ ){1,3}team) (?:will|shall|ll|must|should|still|need|needs|have|has|to|are|is|going| )+"
        rf"{_WRITE}\b"
    ),
    re.compile(
        rf"(?:please )?(?:{_WRITE}|insert|put|explain|update)(?: \w+){{0,6}} ?"
        r"\b(?:here|me|in|out|later|soon|this (?:section|page|part))$"
    ),
    re.compile(
        rf"(?:please )?(?:insert|enter|{_WRITE})(?: (?:in|the|your|some|more|all|any|relevant|detailed|further))* {_SELF}$"
    ),
    re.compile(r"(?:there is )?(?:nothing|no \w+|none)(?: (?:here|yet|so far|to see|written|documented|for now|available))+$"),
    re.compile(
        r"there is (?:still |currently |as yet )?nothing(?: (?:to (?:see|read|do)|here|yet|so far|in this \w+|for now))*$"
    ),
    re.compile(rf"(?:no|your|some|more) {_SELF}(?: (?:here|yet|so far|for now|available|goes|go))*$"),
    re.compile(rf"no (?:[a-z]+ ){{0,2}}{_WHAT_TO_DO}{_SO_FAR}*{_FOR_THIS}{_SO_FAR}*{_SO_FAR}$"),
    re.compile(rf"{_THERE_IS_NO} (?:[a-z]+ ){{0,2}}{_WHAT_TO_DO}{_SO_FAR}*{_FOR_THIS}{_SO_FAR}*$"),
    re.compile(rf"(?:\w+ )?{_SELF} (?:go(?:es)?|comes?|belongs?) here$"),
    re.compile(r"you can help\b.*\b(?:expand|add|writ|complet|improv|fill)ing\b"),
    re.compile(
        r"(?:more )?(?:to follow|coming|later|soon|pending|missing|empty|none|stub|draft|watch this space|stay tuned"
        r"|check back(?: \w+)*)$"
    ),
    re.compile(r"(?:(?:the )?same )?(?:as|see) (?:above|before)$|(?:tk)+$|[a-z0-9]$"),
    re.compile(
        rf"(?:(?:this|the|these) {_SELF} (?:is|are|was|were|has been|have been) )?"
        r"(?:intentionally |deliberately |purposely )?left (?:intentionally |deliberately )?(?:blank|empty|out|open)"
        r"(?: (?:on purpose|intentionally|deliberately|for now))?$"
    ),
    re.compile(r"(?:(?:this|the) \w+ (?:is )?)?(?:intentionally|deliberately|purposely) (?:blank|empty)$"),
    re.compile(r"(?:this (?:is )?)?(?:left as an exercise|under discussion)\b[\w ]*$"),
    re.compile(
        r"(?:work |this |writing |it )?(?:is |has )?(?:still )?not (?:yet )?(?:been )?(?:started|begun|assigned)(?: yet)?$"
    ),
    re.compile(
        r"(?:this |it |these )?(?:is |are )?(?:still |currently )?(?:pending|awaiting|waiting (?:for|on)) "
        r"(?!.*\b(?:means?|is|are|must|can)\b)"
        r"(?:[a-z]+ ){0,2}(?:input|review|approval|feedback|confirmation|sign[ -]?off|decision"
        r"|content|details|contribution|clarification|documentation)(?: (?:by|from|of|with|on|in|until) (?:[\w-]+ ?){1,6})?$"
    ),
    re.compile(
        rf"(?:work|writing|drafting)(?: on (?:this|the|these)(?: {_SELF})?)? (?:is |has )?(?:still )?"
        r"(?:in progress|under ?way|ongoing|pending|not (?:yet )?(?:started|begun)|just (?:started|begun))$"
    ),
    re.compile(
        r"(?:this is )?(?:an? |the )?(?:empty |blank |run ?book |section )?(?:template|skeleton|outline|boilerplate)"
        rf"(?: (?:for|of) (?:\w+ ){{0,5}}{_SELF})?$"
    ),
    re.compile(
        rf"(?:the |more |further )?(?:\w+ )?{_SELF}(?: (?:of|for|in) (?:this|the|these)(?: \w+){{1,3}}?)?"
        r" will follow(?: (?:later|soon|shortly))?$"
    ),
    re.compile(rf"(?:this|the) {_SELF} (?:has|was|is)(?: been)? moved(?: elsewhere| away)?$"),
)
_YET_TO_BE_WRITTEN = (  # by whom: the text, or a part of it
    re.compile(rf"\b(?:this|these) (?:\w+ )?{_SELF}\b(?: \w+){{0,5}}? {_NOT_YET}\b"),
    re.compile(rf"^(?!(?:page|guide) (?:the|your|an?)\b)(?:[\w/-]+ ){{0,4}}{_SELF}\b(?: \w+){{0,5}}? {_NOT_YET}\b{_ELSEWHERE}"),
)
#: `[Insert steps]`, `[Describe how to roll back]`
_TO_FILL_IN = re.compile(
    r"[\W_]*\[\s*(?:insert|add|enter|put|describe|explain|write|fill|list|provide|specify|your|todo|tb[dacw])\b[^\]]*\]"
    r"[\W_]*",
    re.IGNORECASE,
)

_NO_MORE = (
    r"(?:deprecated|obsolete|outdated|out of date|superseded|retired|withdrawn|invalid|wrong|broken(?! (?:down|into|out|up)\b)"
    r"|abandoned|discontinued|unmaintained|replaced|revoked|void"
    r"|no longer (?:valid|used|in use|maintained|current|correct|applicable|supported|in force|accurate|up to date)"
    r"|not (?:valid|to be used|maintained|current|in force|approved|correct|reviewed|up to date|for use|for production)"
    r"(?: any ?more| any longer| yet)?)"
)
_NEVER = r"(?:please )?(?:do not|don t|dont|never|must not|should not|may not|cannot|not to) (?:be )?"
_USE = r"(?:use|used|follow|followed|rely on)"
_ANY_USE = r"(?:use|used|follow|followed|rely on|apply|applied|trust|trusted|read|open|execute)"
_DO_NOT = _NEVER + _ANY_USE
_BECAUSE = (  # what follows a "do not use" that is about the text itself and not about other things
    "it|this|these|they|we|see|use|please|ask|instead|only|until|under (?:construction|review|development)|not|old|draft|stub"
    rf"|todo|tb[dacw]|wip|{_NO_MORE}"
)
_REVIEWED = (
    r"(?:reviewed|approved|updated|corrected|fixed|rewritten|revised|tested|verified|finished|complete|completed|ready|checked)"
)
_FOR_NOW = (
    r"(?: (?:any ?more|any longer|yet|for now|in production|at all"
    rf"|until (?:further notice|(?:(?:it|they|this|these) (?:is|are|was|were|has been|have been) )?(?:re)?{_REVIEWED})\b.*))?"
)
_THEN = rf"{_FOR_NOW}(?:$|\s*(?:[:;,(\[!]|[\u2013\u2014-](?=\s))\s*(?:{_BECAUSE})\b)"
_IS = (
    r"(?:is|are|was|were|has been|have been|now)"
    r"(?: (?:\w+ly|now|already|known to be|marked|as|considered|very|badly|quite|long|an?))*"
)
_IN_A_CASE = r"\b(?:if|when|while|unless|during|in case)\b"
_DISOWN_MARK = re.compile(
    r"(?:deprecated|obsolete|outdated|out of date|superseded|retired|withdrawn|archived|invalid)"
    r"(?!\s*: ?(?:no|none|never|false|n/a)\b)"
    r"(?:\s*[:;,.!(\[\u2013\u2014-]|\]|\)| use | see | do | (?:since|as of|in favou?r of) | (?:in |on )?\d|$)"
)
#: A mark in capitals before what the section tells people to do: `**DO NOT USE** Restart the tool.`
_MARK_IN_CAPITALS = re.compile(
    r"[\W_]*(?:DO NOT USE|DON.?T USE|NEVER USE|DEPRECATED|OBSOLETE|OUTDATED|SUPERSEDED|RETIRED|WITHDRAWN|ARCHIVED)"
    r"(?: (?:THIS|THESE|IT|ANY ?MORE))*[\W_]+[A-Z][a-z]+ (?:the|an?|all|this|these|every|each|its|your|at (?:the|an?))\b"
)


def _of(itself: str, of_it: str, of_this: str) -> tuple[re.Pattern[str], ...]:
    """Patterns of sentences that disown their text.

    Args:
        itself: the subject of a sentence that speaks of the text.
        of_it: nouns that name the text after `the`, `our`, ...
        of_this: nouns that name it after `this`.
    """
    named = (
        rf"(?:(?:(?:the|our|any|old|whole|entire|following|that|this|these|of) )*{of_it}"
        rf"|(?:this|these) (?:\w+ )?{of_this})(?: below| above| here)?"
    )
    return (
        re.compile(
            rf"{itself}(?: (?!(?:what|that|which|who|where|how|if|when)\b)\w+){{0,3}}? {_IS} {_NO_MORE}\b(?! {_IN_A_CASE})"
        ),
        re.compile(rf"{itself}(?: \w+)?? {_DO_NOT}\b(?!.*(?:{_IN_A_CASE}|\b(?:before|without)\b))"),
        re.compile(rf"^{_NOTICE}{_NEVER}{_ANY_USE} {named}{_THEN}"),
        re.compile(
            rf"^{_NOTICE}(?:please )?(?:ignore|disregard|skip) (?:{named}|everything|all"
            r"|(?:everything |all |the )?(?:following|below|above))"
            r"(?: (?:below|above))?$"
        ),
    )


_DISOWNED = _of(_ITSELF, _TEXT, _THIS_TEXT)
_DISOWNED_BESIDE_A_LINK = _of(rf"\b{_SELF}\b", _SELF, _SELF)
#: Sentences about what the sentence before them is about, or, without one, about the text.
_IT_DISOWNED = (
    re.compile(rf"{_NEVER}{_USE}{_THEN}"),
    re.compile(rf"{_NEVER}{_ANY_USE} (?:it|this|that|these|them|any of (?:it|this|these)){_THEN}"),
    re.compile(r"(?:please )?(?:ignore|disregard|skip) (?:it|this|that|these|them)$"),
    re.compile(rf"(?:it|this) (?:is|was|has been) {_NO_MORE}$"),
    re.compile(rf"(?:{_NO_MORE})(?: (?:since|by|as of) .*)?$"),
)
_POINTS_BACK = re.compile(
    r"(?:it|that|them)\b|.*\b(?:use|follow|rely on|apply|trust|read|open|execute|ignore|disregard|skip) (?:it|that|them)\b"
)
#: States of other things, too, where they stand alone (in a table's cell).
_STATE = re.compile(r"(?:retired|invalid|wrong|broken|abandoned|discontinued|replaced|revoked|void)\b")
_SPEAKS_OF_ITSELF = re.compile(
    rf"{_ITSELF}|^(?:this|these) (?:is|are|was|were)\b|\bold (?:version|copy|variant)\b"
    r"|^(?:warning|caution|attention|important|danger|stop|note|notice)$"
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
    if not bare or says_nothing(bare) or _MARK.match(bare) or _TO_FILL_IN.fullmatch(visible(sentence)):
        return False
    return not (any(each.match(bare) for each in _POSTPONED) or any(_holds(each, bare) for each in _YET_TO_BE_WRITTEN))


def disowning(text: str) -> str | None:
    """The sentence by which a text says that it must not be used, or None.

    A mark such as DEPRECATED counts where the text begins with it; elsewhere it may be about something else. So may `do not use
    it`, which counts where it begins the text, or follows a sentence about the text.
    """
    before, first = "", True
    for line in text.splitlines():
        for number, sentence in enumerate(sentences(line)):
            bare = _bare(sentence)
            if first and (_DISOWN_MARK.match(bare) or _MARK_IN_CAPITALS.match(visible(sentence))):
                return sentence
            if any(_holds(each, bare) for each in _DISOWNED):
                return sentence
            if any(each.match(bare) for each in _IT_DISOWNED):
                opens = number == 0 and not _POINTS_BACK.match(bare) and not _STATE.match(bare)
                if first or opens or _SPEAKS_OF_ITSELF.search(before) or not says_something(before):
                    return sentence
            before, first = bare, False
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
    for sentence in sentences(text.replace(LINK, " ")):
        bare = _bare(sentence)
        if any(_holds(each, bare) for each in _DISOWNED_BESIDE_A_LINK) or any(each.match(bare) for each in _IT_DISOWNED):
            return sentence
    return disowning(text.replace(LINK, " "))


def _holds(pattern: re.Pattern[str], bare: str) -> bool:
    """True if a sentence says what the pattern finds, and not only for a case (`if the section is empty, ...`)."""
    found = pattern.search(bare)
    return found is not None and not _CASE.search(bare[: found.start()])


def _folded(text: str) -> str:
    """Lower case, apostrophes and dashes plain, spelled-out marks as one word."""
    folded = re.sub(r"[\u2018\u2019'`\u00b4]", " ", visible(text).casefold())
    return _SPELLED.sub(lambda match: re.sub(r"[^a-z]", "", match.group()), folded)


def _bare(sentence: str) -> str:
    """A sentence without list marks, emoji and punctuation around it."""
    return " ".join(_EDGES.sub("", _folded(sentence)).split())
