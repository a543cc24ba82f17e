"""Addresses are links only where a browser may open them, and then as the standard says."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.report.formats.plain import web_link

CONSOLE = (
    "https://us-west-2.console.aws.amazon.com/cloudwatch/home?region=us-west-2#logsV2:log-groups/log-group/$252Faws$252Fa(~'b*5f)"
)


@pytest.mark.parametrize(
    ("url", "link"),
    [
        (CONSOLE, CONSOLE),
        ("http://127.0.0.1:3000/runs/1?a=%5Bb%5D&c=d/e#f", "http://127.0.0.1:3000/runs/1?a=%5Bb%5D&c=d/e#f"),
        ("https://[::1]:8/x", "https://[::1]:8/x"),
        ("https://x/y?a=[b]", "https://x/y?a=%5Bb%5D"),
        ("https://x/a b|c`d>\u00e9", "https://x/a%20b%7Cc%60d%3E%C3%A9"),
        ("https://x/%zz#a#b", "https://x/%25zz#a%23b"),
        ("javascript:1", None),
        ("file:///etc/x", None),
        ("https://user@host/x", None),
        ("https:///x", None),
        ("https://x:port/", None),
        ("https://[::1/", None),
        ("", None),
        (None, None),
    ],
)
def test_a_link_is_the_address_with_what_the_standard_does_not_allow_escaped(url, link):
    assert web_link(url) == link


@given(st.text("ab:/?#[]@!%2F \n|<>\"'`\u00e9", max_size=12).map("https://host".__add__))
def test_what_is_a_link_is_a_uri(url):
    link = web_link(url)
    assert link is None or jsonschema.Draft202012Validator.FORMAT_CHECKER.conforms(link, "uri"), link
