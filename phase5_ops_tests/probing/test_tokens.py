"""Forged tokens break one thing each, and the expired token is a genuine one."""

import json
import stat
import time
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from phase5_ops.probing.codes import Obstacle
from phase5_ops.probing.forge import Forger, TokenKind, _foreign_key, claims_of, header_of, public_key_of
from phase5_ops.probing.identity import Identity, parse_accounts
from phase5_ops.probing.kept_token import FILE_NAME, Issue, NoExpiredToken, expired_token, keep
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.tokens import SignedIn, Supply, keep_for_run, tokens_of_run

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
JWK = {**json.loads(RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "pool-key"}
ISSUER, CLIENT, NOW = "https://pool.example", "web", 1_795_435_200


def genuine(exp=NOW + 3600, **claims):
    content = {"iss": ISSUER, "aud": CLIENT, "exp": exp, "token_use": "id", "custom:tenant_id": "phase5-a", **claims}
    return jwt.encode(content, KEY, algorithm="RS256", headers={"kid": "pool-key"})


FORGER = Forger(genuine(), JWK, "phase5-b")
ISSUE = Issue(ISSUER, CLIENT, "phase5-a", JWK)


@pytest.mark.parametrize("kind", sorted(FORGER.kinds))
def test_no_forgery_stands_a_proper_check(kind):
    with pytest.raises(jwt.PyJWTError):
        jwt.decode(FORGER.token(kind), public_key_of(JWK), algorithms=["RS256"], audience=CLIENT, options={"verify_exp": False})


@pytest.mark.parametrize("kind", sorted(FORGER.kinds - {TokenKind.GARBAGE, TokenKind.TAMPERED}))
def test_a_forgery_claims_exactly_what_the_genuine_token_claims(kind):
    assert claims_of(FORGER.token(kind)) == claims_of(FORGER.genuine)


def test_the_tampered_token_differs_in_the_tenant_alone():
    claims = claims_of(FORGER.token(TokenKind.TAMPERED))
    assert claims == {**claims_of(FORGER.genuine), "custom:tenant_id": "phase5-b"}
    assert header_of(FORGER.token(TokenKind.TAMPERED)) == header_of(FORGER.genuine)


def test_the_spellings_of_none_are_as_named():
    kinds = (TokenKind.ALG_NONE, TokenKind.ALG_NONE_TITLE, TokenKind.ALG_NONE_UPPER, TokenKind.ALG_NONE_MIXED)
    assert [header_of(FORGER.token(kind))["alg"] for kind in kinds] == ["none", "None", "NONE", "nOnE"]


def test_the_self_signed_token_names_the_pools_key_and_the_others_name_their_own():
    assert header_of(FORGER.token(TokenKind.SELF_SIGNED))["kid"] == "pool-key"
    assert header_of(FORGER.token(TokenKind.UNKNOWN_KID))["kid"] != "pool-key"
    assert header_of(FORGER.token(TokenKind.EMBEDDED_JWK))["jwk"]["n"] != JWK["n"]
    assert header_of(FORGER.token(TokenKind.JKU))["jku"].endswith(".invalid/jwks.json")


@pytest.mark.parametrize(
    "change", [{"e": 5}, {"n": None}, {"n": "!"}, {"n": ""}, {"e": []}, {"kty": "EC"}, {"kty": 5}, {"n": "AQAB"}]
)
def test_an_entry_of_a_key_set_that_is_no_rsa_key_is_refused(change):
    with pytest.raises(ValueError, match=r"."):
        public_key_of({**JWK, **change})


def test_a_forger_shows_no_token():
    assert FORGER.genuine not in repr(FORGER)


def test_a_token_is_kept_until_it_has_expired_and_can_then_be_tried(tmp_path):
    kept = tmp_path / FILE_NAME
    find = partial(expired_token, kept, None, ISSUE)
    with pytest.raises(NoExpiredToken, match="no earlier run"):
        find(wall=lambda: NOW)
    keep(kept, genuine(), ISSUE, wall=lambda: NOW)
    with pytest.raises(NoExpiredToken, match="not expired yet"):
        find(wall=lambda: NOW + 10)
    keep(kept, genuine(NOW + 9000), ISSUE, wall=lambda: NOW + 10)  # a later run does not push the waiting one out
    assert find(wall=lambda: NOW + 3601) == genuine()
    keep(kept, genuine(NOW + 9000), ISSUE, wall=lambda: NOW + 3700)
    keep(kept, genuine(NOW + 9999), ISSUE, wall=lambda: NOW + 3800)
    assert find(wall=lambda: NOW + 4000) == genuine()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "issue",
    [
        Issue("https://other.example", CLIENT, "phase5-a", JWK),
        Issue(ISSUER, "other", "phase5-a", JWK),
        Issue(ISSUER, CLIENT, "phase5-c", JWK),
        Issue(ISSUER, CLIENT, "phase5-a", json.loads(RSAAlgorithm.to_jwk(_foreign_key().public_key()))),
    ],
    ids=["another pool", "another client", "another tenant", "another key"],
)
def test_an_expired_token_that_would_be_refused_for_another_reason_is_of_no_use(tmp_path, issue):
    named = tmp_path / "token"
    named.write_text(genuine(NOW - 60))
    assert expired_token(tmp_path / FILE_NAME, named, ISSUE, wall=lambda: NOW) == genuine(NOW - 60)
    with pytest.raises(NoExpiredToken):
        expired_token(tmp_path / FILE_NAME, named, issue, wall=lambda: NOW)


@pytest.mark.parametrize("content", ["", "[]", '{"expired": 1}', "not json", '{"waiting": "eyJ"}'])
def test_a_damaged_file_of_kept_tokens_is_as_good_as_none(tmp_path, content):
    kept = tmp_path / FILE_NAME
    kept.write_text(content)
    with pytest.raises(NoExpiredToken):
        expired_token(kept, None, ISSUE, wall=lambda: NOW)
    keep(kept, genuine(), ISSUE, wall=lambda: NOW)
    assert expired_token(kept, None, ISSUE, wall=lambda: NOW + 3601) == genuine()


@pytest.mark.parametrize(
    ("claim", "accounts"),
    [
        (None, None),
        ("", None),
        ("canary-a-1", {"canary-a-1"}),
        ("canary-a-1,canary-a-2", {"canary-a-1", "canary-a-2"}),
        ('["canary-a-1", "canary-a-2"]', {"canary-a-1", "canary-a-2"}),
        (["canary-a-1"], {"canary-a-1"}),
        ("[broken", None),
    ],
)
def test_the_accounts_of_a_token_are_read_in_every_form(claim, accounts):
    assert parse_accounts(claim) == accounts


def test_tokens_of_a_run_are_used_again_only_while_all_of_them_last():
    now = int(time.time())
    tokens = {TokenKind.VALID: genuine(now + 600), TokenKind.VALID_B: genuine(now + 300), TokenKind.EXPIRED: genuine(now - 5)}
    signed_in = SignedIn(Identity("phase5-a", "a", "", "", {}), Supply(tokens), Redactor(), ())
    assert signed_in.lasts(200)
    assert not signed_in.lasts(400)


def test_tokens_are_kept_for_the_run_where_all_could_be_had():
    run = SimpleNamespace(shared={})
    signed_in = SignedIn(Identity("phase5-a", "a", "", "", {}), Supply({}), Redactor(), ())
    lacking = replace(signed_in, supply=Supply({}, obstacles=[Obstacle("code", "user B", "a token", "none")]))
    keep_for_run(run, lacking)
    assert not run.shared
    keep_for_run(run, signed_in)
    assert tokens_of_run(run, None, seconds=60) is signed_in
