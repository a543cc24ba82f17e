"""The user pool: genuine tokens, what they claim, and the keys they are verified with."""

import json
import stat
import time
import urllib.request
from pathlib import Path

import jwt
import pytest

from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.probe_tenants import FURTHER_USERS, PROBE_TENANTS, A, B


def key_of(sandbox, token):
    """The key of the pool's published key set that a token names."""
    pool = sandbox.exports()["PHASE5_USER_POOL_ID"]
    with urllib.request.urlopen(f"{sandbox.endpoint}/{pool}/.well-known/jwks.json") as answer:
        keys = jwt.PyJWKSet.from_dict(json.load(answer))
    return keys[jwt.get_unverified_header(token)["kid"]]


@pytest.mark.parametrize("tenant", PROBE_TENANTS, ids=lambda tenant: tenant.letter)
def test_an_exported_user_signs_in_and_gets_a_token_that_the_published_key_verifies(ccnative, tenant):
    sandbox = ccnative.sandbox
    exports, user = sandbox.exports(), f"PHASE5_PROBE_USERS__{tenant.letter}__"
    client = exports["PHASE5_USER_POOL_CLIENT_ID"]
    answer = (
        sandbox.session()
        .client("cognito-idp", endpoint_url=sandbox.endpoint)
        .initiate_auth(
            ClientId=client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": exports[f"{user}USERNAME"], "PASSWORD": exports[f"{user}PASSWORD"]},
        )
    )
    token = answer["AuthenticationResult"]["IdToken"]
    claims = jwt.decode(token, key_of(sandbox, token), algorithms=["RS256"], audience=client)
    assert claims["iss"].endswith(f"/{exports['PHASE5_USER_POOL_ID']}")
    assert claims["token_use"] == "id"
    assert claims["custom:tenant_id"] == tenant.tenant_id == exports[f"{user}TENANT_ID"]
    assert claims["custom:account_ids"] == ",".join(tenant.scope)
    assert claims["cognito:username"] == tenant.username
    assert claims["email"] == tenant.email


def test_user_a_may_name_only_its_first_account():
    assert (A.accounts, A.scope) == (("canary-a-1", "canary-a-2"), ("canary-a-1",))
    assert B.accounts == B.scope == ("canary-b-1",)


def test_the_expired_token_is_genuine_and_for_the_owner_alone(ccnative):
    path = Path(ccnative.sandbox.exports()["PHASE5_PROBES__EXPIRED_TOKEN_FILE"])
    token = path.read_text()
    claims = jwt.decode(
        token, key_of(ccnative.sandbox, token), algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False}
    )
    assert claims["exp"] < time.time()
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["custom:tenant_id"] == A.tenant_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, key_of(ccnative.sandbox, token), algorithms=["RS256"], options={"verify_aud": False})


def test_another_client_of_the_pool_gives_another_audience(ccnative):
    pool = ccnative.platform.pool
    other = jwt.decode(pool.tokens(A, client_id=pool.other_client_id)["IdToken"], options={"verify_signature": False})
    assert other["aud"] == pool.other_client_id != pool.client_id
    assert ccnative.sandbox.exports()["PHASE5_PROBES__OTHER_CLIENT_ID"] == pool.other_client_id


def test_an_access_token_names_no_tenant(ccnative):
    claims = jwt.decode(ccnative.platform.pool.tokens(A)["AccessToken"], options={"verify_signature": False})
    assert claims["token_use"] == "access"
    assert not {"custom:tenant_id", "aud"} & claims.keys()


def test_passwords_differ_between_users(ccnative):
    passwords = ccnative.platform.pool.passwords
    assert len(set(passwords.values())) == len(passwords) == len(PROBE_TENANTS) + len(FURTHER_USERS)


def test_an_empty_platform_has_a_pool_and_nobody_in_it():
    with Sandbox("empty") as sandbox:
        names = [name for name in sandbox.exports() if name.startswith("PHASE5_")]
        assert "PHASE5_USER_POOL_ID" in names
        assert not [name for name in names if name.startswith("PHASE5_PROBE_USERS") or "CONTROL" in name]
