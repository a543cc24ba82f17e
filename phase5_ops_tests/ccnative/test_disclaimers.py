"""Sentences by which a text takes itself back, and those that look like it and instruct."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.ccnative.disclaimers import disowning, disowns_link, says_something, sentences

POSTPONED = [
    "\U0001f6a7 Work in progress",
    "TODO: describe the steps",
    "T.O.D.O.",
    "To do",
    "TO-DO: steps",
    "TO\u200bDO",
    "\uff34\uff2f\uff24\uff2f",
    "@todo",
    "todo(bob)",
    "TBD",
    "T.B.D.",
    "tbc",
    "- [ ] TODO",
    "FIXME later",
    "XXX",
    "WIP",
    "Not yet written.",
    "To be written",
    "This section will be written later",
    "This section will be written by the SRE team in Q3.",
    "Instructions will be added once the tool is live",
    "Details to follow",
    "Coming soon!",
    "Under construction",
    "Content pending",
    "Placeholder",
    "Lorem ipsum dolor sit amet.",
    "Fill me in",
    "write me",
    "Insert text here",
    "Add steps here",
    "Describe the steps here.",
    "We'll document this soon",
    "Nothing here yet.",
    "n/a",
    "None",
    "-",
    "???",
    "\u200b",
    "(coming soon)",
    "**to be documented**",
    "Still needs to be written",
    "Documentation is missing.",
    "This page is a stub",
    "[!NOTE]",
    ":construction: work in progress",
    "\u2026",
    "Steps TBD",
    "This is still being written.",
    "Draft",
    "Runbook not ready yet",
    "The SRE team will write this section",
    "We have to write this",
    "No instructions available yet",
]
INSTRUCTIONS = [
    "Look at the dashboard and roll back.",
    "Do not close a breaker by hand: it closes itself when its probe succeeds.",
    "Close it by hand.",
    "Text.",
    "Do it.",
    "Set the kill switch of every tenant: PUT /kill-switches with the connector's action types.",
    "Replay only with a reason and a requester; watch the ledger until REPLAY_COMPLETED or REPLAY_FAILED.",
    "To do this, open the console.",
    "To be safe, page the owner first.",
    "Wait until in-progress calls end.",
    "Check pending replays.",
    "latency",
    "look at the vendor",
    "Stop the connector, see below.",
    "phase5 kill",
    "Ask the on-call.",
    "If the connector is still missing data, disable it.",
    "Page the connector's owner.",
    "Do not use the old console.",
    "Never follow links in the alert mail.",
    "Missing data points mean that the tool was not called.",
    "Draft a message to customers and send it.",
]
FORBIDDEN = [
    "Do not use this section.",
    "DO NOT USE",
    "Don\u2019t use!",
    "Deprecated.",
    "DEPRECATED: use the new wiki",
    "Deprecated in favour of RB-12.",
    "Obsolete since v2.",
    "Archived on 2024-01-01",
    "Out of date - do not use.",
    "This section is deprecated.",
    "This runbook is no longer maintained; ask Bob.",
    "Obsolete",
    "Outdated - see wiki",
    "Please ignore this section.",
    "Do not follow these instructions.",
    "These steps are out of date.",
    "This procedure must not be used in production.",
    "Do not u\u200bse.",
    "Superseded by runbook v2.",
    "This page has been superseded.",
    "Not valid any more",
    "This is obsolete.",
    "Do not rely on this page.",
    "DO NOT USE\u2060: deprecated.",
    "Do not use, deprecated",
    "Do not use \u2013 see wiki",
    "Do not use any more: wrong commands",
    "Don't use (outdated)",
    "Never use this: it is wrong.",
    "Do not use; superseded by v2",
    "Do not follow these steps, they are old.",
]
ABOUT_OTHER_THINGS = [
    "Do not use the kill switch before you have looked.",
    "Never use --force.",
    "Do not use --force: it breaks things.",
    "Do not use: the old console, the root account.",
    "Do not use the old console; it is deprecated.",
    "The v1 API is deprecated; use v2.",
    "This runbook is broken out by tool.",
    "Archived logs are in S3.",
    "Out of date dashboards are listed in step 3.",
    "If the token is invalid, renew it.",
    "A breaker that is no longer OPEN needs nothing.",
    "Invalid tokens are refused.",
    "Replaced disks come back by themselves.",
    "Wrong tenants are refused.",
]


@pytest.mark.parametrize("text", POSTPONED)
def test_a_text_that_only_says_that_it_will_be_written_says_nothing(text):
    assert not any(says_something(sentence) for sentence in sentences(text))


@pytest.mark.parametrize("text", INSTRUCTIONS)
def test_instructions_say_something_and_forbid_nothing_of_themselves(text):
    assert any(says_something(sentence) for sentence in sentences(text))
    assert disowning(text) is None
    assert any(says_something(sentence) for sentence in sentences("TODO: pictures.\n" + text))


@pytest.mark.parametrize("text", FORBIDDEN)
def test_a_text_that_must_not_be_used_is_told_from_one_that_forbids_something(text):
    assert disowning(text)


@pytest.mark.parametrize("text", ABOUT_OTHER_THINGS)
def test_what_is_said_of_other_things_is_not_said_of_the_text(text):
    assert disowning(text) is None
    assert disowning("Call the on-call. " + text) is None


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_looked_at(text):
    assert isinstance(sentences(text), list)
    disowning(text)
    disowns_link(text)
