"""Tokens of the probe users, their claims, secrets and the kept token: what probes are sent with."""

import base64
import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from phase5_ops.probing.channel import TENANT_CLAIM
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.guard import tenants_claimed, tenants_of_token
from phase5_ops.probing.identity import Pool, parse_accounts
from phase5_ops.probing.kept_token import Issue, NoExpiredToken, expired_token
from phase5_ops.probing.redact import Redactor
from phase5_ops.settings import ProbeUser
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.probing.test_identity import CLIENT, PLAIN, STORED, TENANT, Aws

READS = "tokens of the user pool, their claims, secrets, the kept token (`probing/identity`, `guard`, `kept_token`)"
MALFORMED = "`Obstructed` (`probe_token_unusable`, `probe_token_unavailable`, ...) or `NoExpiredToken`; no probe is sent with it"

NOW = 1_795_424_883
CLAIMS = {
    TENANT_CLAIM: TENANT,
    "token_use": "id",
    "sub": "s",
    "email": "a@b",
    "exp": NOW - 60,
    "iss": "https://pool",
    "aud": CLIENT,
}
PIECES = (".", "..", "=", "-", "_", "e30", "\x00", "\ud800", "Bearer ")


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _token(claims: object, header: object = None) -> str:
    parts = [header if header is not None else {"alg": "HS256", "typ": "JWT"}, claims]
    texts = [each if isinstance(each, str) else json.dumps(each) for each in parts]
    encoded = [base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=") for text in texts]
    return ".".join([*encoded, "c2ln"])


def fuzz(data: bytes) -> None:
    """Signs in with altered tokens and secrets; what is not of the test tenant is never taken."""
    source = Source(data)
    claims = source.changed(CLAIMS)
    text = source.json_text(claims)
    if source.chance(3):
        text = "[" * (source.number(3) * 700) or text
    token = source.spliced(_token(text), PIECES)
    answer = source.changed({"AuthenticationResult": {"IdToken": token, "AccessToken": "at"}}, most=1)
    try:
        _sign_in(Aws(signed_in=answered("cognito-idp", "AdminInitiateAuth", json.dumps(answer))), PLAIN, fits=not data)
    except UNREADABLE:
        assert data, "the sound answer is refused"
    secret = source.spliced(
        source.json_text(source.changed({"username": "u", "password": "p"})), ("{", '"', ",", ":", "[" * 2000)
    )
    _sign_in(Aws(secret=secret), STORED, fits=False)
    tenants_of_token(f"Bearer {token}")
    claim = source.value()
    tenants_claimed(claim)
    parse_accounts(claim)
    parse_accounts(source.spliced('["a", "b"]', ("[", "]", ",", '"', "[" * 2000)))
    tenants_claimed(source.spliced('["a", "b"]', ("[", "]", ",", '"', "[" * 2000)))
    with TemporaryDirectory() as folder:
        kept, named = Path(folder) / "probe_tokens.json", Path(folder) / "token"
        genuine = jwt.encode(claims, _key(), algorithm="RS256") if isinstance(claims, dict) and _encodes(claims) else token
        kept.write_text(
            source.spliced(json.dumps({"expired": genuine}), ("{", "[" * 2000, '"')), encoding="utf-8", errors="surrogatepass"
        )
        named.write_text(token, encoding="utf-8", errors="surrogatepass")
        issue = Issue("https://pool", CLIENT, TENANT, json.loads(RSAAlgorithm.to_jwk(_key().public_key())))
        for where in (None, named):
            try:
                found = expired_token(kept, where, issue, wall=lambda: NOW)
            except NoExpiredToken as error:
                assert data or where is not None, f"the seed is refused: {error}"
                assert str(error), "does not say why"
            else:
                said = jwt.decode(found, options={"verify_signature": False})
                assert said[TENANT_CLAIM] == TENANT, "a token of another tenant is taken"
                assert CLIENT in said["aud"], "a token of another client is taken"


def _encodes(claims: dict) -> bool:
    try:
        jwt.encode(claims, _key(), algorithm="RS256")
    except (TypeError, ValueError, UnicodeEncodeError):
        return False
    return True


def _sign_in(aws: Aws, user: ProbeUser, *, fits: bool) -> None:
    try:
        identity, _ = Pool(aws, "pool-1", CLIENT, Redactor()).sign_in("A", user)
    except Obstructed as error:
        assert not fits, "the sound token is refused"
        assert error.obstacle, "does not say why"
    else:
        assert (identity.tenant, identity.claims.get("token_use")) == (TENANT, "id"), "a token of another tenant is taken"
        _ = identity.names, identity.name, identity.accounts
