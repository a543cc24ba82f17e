"""Signing in as a probe user: what is sent to the pool, which tokens are taken, and what is said where none comes."""

import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from moto.cognitoidp.utils import check_secret_hash
from pydantic import SecretStr

from phase5_ops.aws.reader import Answer
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.identity import KeySetClient, Pool
from phase5_ops.probing.redact import MASK, Redactor
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ProbeUser

TENANT, CLIENT = "phase5-a", "web"
PLAIN = ProbeUser(tenant_id=TENANT, username="probe-a", password=SecretStr("pass-word"))
STORED = ProbeUser(tenant_id=TENANT, secret_id="probe/a")


def token(**claims):
    content = {"custom:tenant_id": TENANT, "token_use": "id", **claims}
    return jwt.encode({name: value for name, value in content.items() if value is not None}, "x" * 32)


class Aws:
    """Answers calls as told, and keeps what was asked."""

    def __init__(self, *, signed_in: Mapping[str, Any] | None = None, secret: str | None = None, error: str | None = None):
        self.signed_in = {"AuthenticationResult": {"IdToken": token(), "AccessToken": "at"}} if signed_in is None else signed_in
        self.secret, self.error = secret, error
        self.asked: list[dict[str, Any]] = []

    def call(self, service, operation, resource, **params):
        self.asked.append(params)
        status = ReadStatus.DENIED if self.error else ReadStatus.OK
        page = {"SecretString": self.secret} if operation == "get_secret_value" else self.signed_in
        read = Read(f"{service}:{operation}", resource, status, self.error, 1, "", "")
        return Answer([] if self.error else [page], read)


def sign_in(aws, user=PLAIN, redactor=None, **options):
    return Pool(aws, "pool-1", CLIENT, redactor or Redactor()).sign_in("A", user, **options)[0]


def refusal(aws, user=PLAIN, redactor=None):
    with pytest.raises(Obstructed) as caught:
        sign_in(aws, user, redactor)
    return caught.value.obstacle


def test_a_client_without_a_secret_gets_no_secret_hash():
    aws = Aws()
    sign_in(aws)
    assert aws.asked[0]["AuthParameters"] == {"USERNAME": "probe-a", "PASSWORD": "pass-word"}


@pytest.mark.parametrize("from_secrets_manager", [False, True])
def test_a_client_with_a_secret_gets_the_hash_that_cognito_computes(from_secrets_manager):
    stored = json.dumps({"username": "probe-a", "password": "pass-word", "client_secret": "client-secret"})
    user = STORED if from_secrets_manager else PLAIN.model_copy(update={"client_secret": SecretStr("client-secret")})
    aws, redactor = Aws(secret=stored), Redactor()
    identity = sign_in(aws, user, redactor)
    parameters = aws.asked[-1]["AuthParameters"]
    assert check_secret_hash("client-secret", CLIENT, "probe-a", parameters.pop("SECRET_HASH"))
    assert parameters == {"USERNAME": "probe-a", "PASSWORD": "pass-word"}
    assert (identity.tenant, identity.username) == (TENANT, "probe-a")
    assert redactor("pass-word client-secret") == f"{MASK} {MASK}"


def test_each_client_gets_the_hash_of_its_own_secret():
    content = {"username": "u", "password": "pass-word", "client_secret": "one", "other_client_secret": "two"}
    aws = Aws(secret=json.dumps(content))
    sign_in(aws, STORED, client_id="reporting")
    assert check_secret_hash("two", "reporting", "u", aws.asked[-1]["AuthParameters"]["SECRET_HASH"])


@pytest.mark.parametrize("content", ["", "[1]", "no json", "null", '{"username": "u"}', '{"password": "hidden-word"}'])
def test_a_secret_that_is_something_else_is_named_and_not_shown(content):
    obstacle = refusal(Aws(secret=content), STORED)
    assert (obstacle.code, "probe/a" in obstacle.expected) == ("probe_token_unavailable", True)
    assert obstacle.seen == "something else, which is not shown"


def test_a_refused_sign_in_says_why_and_never_the_password():
    obstacle = refusal(Aws(error="NotAuthorizedException: not pass-word"), redactor=Redactor())
    assert (obstacle.code, obstacle.seen) == ("probe_token_unavailable", f"denied: NotAuthorizedException: not {MASK}")


@pytest.mark.parametrize(
    ("challenge", "remedy"), [("NEW_PASSWORD_REQUIRED", "permanent password"), ("SOFTWARE_TOKEN_MFA", "neither MFA")]
)
def test_a_challenge_instead_of_a_token_is_named_with_its_remedy(challenge, remedy):
    obstacle = refusal(Aws(signed_in={"ChallengeName": challenge, "Session": "s"}))
    assert obstacle.code == "probe_token_unavailable"
    assert challenge in obstacle.seen
    assert remedy in obstacle.seen


@pytest.mark.parametrize(
    ("issued", "code"),
    [
        ("not a token", "probe_token_unusable"),
        (token(**{"custom:tenant_id": None}), "probe_token_unusable"),
        (token(**{"custom:tenant_id": ""}), "probe_token_unusable"),
        (token(token_use="access"), "probe_token_unusable"),
        (token(**{"custom:tenant_id": "acme"}), "probe_tenant_refused"),
        (token(**{"custom:tenant_id": ["phase5-a"]}), "probe_tenant_refused"),
    ],
    ids=["no token", "no tenant", "empty tenant", "access token", "another tenant", "a list"],
)
def test_a_token_that_is_not_one_of_the_configured_tenant_is_not_used(issued, code):
    obstacle = refusal(Aws(signed_in={"AuthenticationResult": {"IdToken": issued}}))
    assert (obstacle.code, obstacle.as_finding().verdict) == (code, "ERROR")


def test_without_user_name_or_secret_the_settings_to_set_are_named():
    obstacle = refusal(Aws(), ProbeUser(tenant_id=TENANT))
    assert obstacle.code == "probe_setting_missing"
    assert "PHASE5_PROBE_USERS__A__SECRET_ID" in obstacle.expected


def test_digits_of_a_key_that_look_like_a_token_are_read_as_they_are(monkeypatch):
    modulus = "q7" + "eyJhbGciOi" + "JSUzI1NiJ9" * 20
    content = json.dumps({"keys": [{"kid": "k", "n": modulus}]}).encode()
    monkeypatch.setattr("phase5_ops.probing.client._Line.exchange", lambda *_: (200, None, "", content))
    keys = KeySetClient("https://pool.example", "pool-1", 1, "phase5-test/1")
    assert keys.entries() == [{"kid": "k", "n": modulus}]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"keys": {}}', b'{"keys": [1]}', b"<html>"])
def test_a_key_set_that_is_none_is_no_key_set(monkeypatch, content):
    monkeypatch.setattr("phase5_ops.probing.client._Line.exchange", lambda *_: (200, None, "", content))
    with pytest.raises(ValueError, match=r"key set|Expecting"):
        KeySetClient("https://pool.example", "pool-1", 1, "phase5-test/1").entries()
