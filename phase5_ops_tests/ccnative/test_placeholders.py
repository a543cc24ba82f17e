"""What says nothing is told from what says something."""

import pytest

from phase5_ops.ccnative.placeholders import names_nobody, says_nothing, visible

NOTHING = [
    None,
    "",
    " \t\n",
    "\u200b\u200d\ufeff",
    "\u2060 \u3164",
    "\u00ad\u034f",
    "\u2800",
    "\ufe0f",
    "\U000e0001",
    "\x00\x1b",
    "undefined",
    "Undefined Undefined",
    "un\u200bdefined",
    "\uff4e\uff55\uff4c\uff4c",
    "NULL",
    "None",
    "nil",
    "NaN",
    "unknown",
    "Unknown user",
    "(unknown)",
    '"undefined"',
    "n/a",
    "N.A.",
    "-",
    "???",
    "[object Object]",
    "{}",
    "[]",
    "${user}",
    "{{ requester }}",
    "<name>",
    "%s",
    "$USER",
    "0",
    "00000000-0000-0000-0000-000000000000",
    "TBD",
]
NO_REASON = [
    "no reason",
    "Reason",
    "none given",
    "not specified",
    "No reason provided",
    "unknown reason",
    "not available",
    "reason: none",
    "Reason: N/A",
    "reason: TBD",
    "reason not given",
    "no reason (none)",
    "reason - unknown",
    "reason=null",
    "reason: not provided",
    "undefined undefined reason",
    "no value none",
    "none specified by user",
    "not specified by the user",
    "no reason was given",
    "no reason at all",
    "without any specific reason",
    "comment: none",
    "no comments",
    "no justification needed",
    "missing reason",
    "empty string",
    "nothing",
    "replay_reason: none",
    "replayReason: null",
    "reason wasn't provided",
    "reason: not recorded",
    "reason left blank",
    "Details: none",
    "notes = n/a",
    '{"message": null}',
    "not set",
    "has not been given",
    "reason: none at this time",
    "no reason found",
    "None to add",
]
SOMETHING = [
    "ops",
    "a",
    "ops@acme.example",
    "Ünal",
    "李",
    "nuller",
    "Unknowable Ltd",
    "7",
    "oncall-2",
    "none-shall-pass",
    "user-17",
    "system",
    "admin user",
]


@pytest.mark.parametrize("text", NOTHING)
def test_what_says_nothing(text):
    assert says_nothing(text)
    assert names_nobody(text)


@pytest.mark.parametrize("text", NO_REASON)
def test_what_gives_no_reason(text):
    assert says_nothing(text)


@pytest.mark.parametrize(
    "text",
    [
        "account not available",
        "No account",
        "user account missing",
        "Account unknown",
        "email not provided",
        "not requested by user",
        "missing email",
        "missing id",
        "Unset the value",
        "No users yet",
        "not needed",
        "Not for all users",
        "Reason: CHG-1042",
        "CHG-1042: n/a",
        "Details: see INC-7",
        "rolled out: all users",
    ],
)
def test_a_reason_that_is_a_sentence_of_such_words_says_something(text):
    assert not says_nothing(text)


@pytest.mark.parametrize("text", ["undefined@acme.example", "null@null", "@acme.example", "anonymous", "unknown@x"])
def test_an_address_must_say_who_before_its_at(text):
    assert names_nobody(text)


@pytest.mark.parametrize(
    "text",
    [
        "dummy user",
        "missing id",
        "unknown account",
        "an unknown user",
        "na@acme.example",
        "no one",
        "No-one",
        "no name",
        "user not specified",
        "not yet known",
    ],
)
def test_a_role_without_a_name_is_nobody(text):
    assert names_nobody(text)


@pytest.mark.parametrize("text", ["An Na", "na.an@acme.example", "Nan Li", "Nil An", "An", "An No"])
def test_people_may_be_called_what_some_write_for_no_value(text):
    assert not names_nobody(text)


@pytest.mark.parametrize("text", SOMETHING)
def test_what_says_something(text):
    assert not says_nothing(text)
    assert not names_nobody(text)


def test_what_people_see_of_a_text():
    assert visible("a\u200bb \u00a0 c\ufeff") == "ab c"
    assert visible("\uff34\uff2f\uff24\uff2f") == "TODO"
