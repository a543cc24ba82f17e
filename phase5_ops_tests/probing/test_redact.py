"""Tokens and passwords do not get into what is written."""

import base64
import json
from urllib.parse import quote

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phase5_ops.probing.redact import MASK, Redactor

TOKEN = jwt.encode({"sub": "somebody", "custom:tenant_id": "phase5-a"}, "s" * 32, algorithm="HS256")
PASSWORD = 'Aa1!"p&ss wörd/'


@pytest.mark.parametrize(
    "text",
    [
        PASSWORD,
        json.dumps({"password": PASSWORD}),
        f"https://host/?p={quote(PASSWORD, safe='')}",
        base64.b64encode(PASSWORD.encode()).decode(),
        f"before{PASSWORD}after",
    ],
    ids=["plain", "json", "url", "base64", "inside"],
)
def test_a_password_is_masked_however_it_is_written(text):
    shown = Redactor(PASSWORD)(text)
    assert MASK in shown
    assert PASSWORD not in shown
    assert quote(PASSWORD, safe="") not in shown


@pytest.mark.parametrize("cut", [len(TOKEN), len(TOKEN) // 2, 20])
def test_a_token_is_masked_by_its_shape_even_if_nobody_told(cut):
    assert TOKEN[:cut] not in Redactor()(f'{{"got": "{TOKEN[:cut]}"}}')


@pytest.mark.parametrize("part", range(3))
def test_a_known_token_is_masked_part_by_part(part):
    piece = TOKEN.split(".")[part]
    assert piece not in Redactor(TOKEN)(f"<{piece}>")


def test_whatever_follows_bearer_is_masked():
    assert "opaque-thing" not in Redactor()("Authorization: bearer opaque-thing")


@given(before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_known_secret_survives_in_any_text(before, after):
    shown = Redactor(TOKEN, "hunter2-hunter2")(f"{before}hunter2-hunter2{after}{TOKEN}")
    assert "hunter2-hunter2" not in shown
    assert TOKEN not in shown


def test_ordinary_text_stays():
    assert Redactor("abc")('{"error": "Unauthorized", "key": "abc"}') == '{"error": "Unauthorized", "key": "abc"}'


def test_a_redactor_does_not_show_what_it_masks():
    assert PASSWORD not in repr(Redactor(PASSWORD))


def test_a_secret_that_holds_half_of_a_surrogate_pair_is_masked():
    assert Redactor("pass\ud800word")("it is pass\ud800word") == f"it is {MASK}"
