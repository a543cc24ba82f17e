"""What the sandbox's Control Center has found out about a token holds as long as nothing changes that decides it."""

import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from phase5_ops.sandbox.control_center import authorizer as of_tokens
from phase5_ops.sandbox.control_center.authorizer import Authorizer, Hints, Unauthorized
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sandbox.state.probe_tenants import A
from phase5_ops_tests.sandbox.control_center.memory_platform import OTHER_CLIENT, MemoryPool

NOWHERE = Hints(None, (), None)


def lets_in(authorizer: Authorizer, token: str) -> bool:
    try:
        return authorizer.caller(f"Bearer {token}", NOWHERE).tenant == A.tenant_id
    except Unauthorized:
        return False


def test_a_token_that_was_let_in_is_refused_once_it_has_expired(monkeypatch: pytest.MonkeyPatch):
    authorizer, token = Authorizer(MemoryPool(), set()), MemoryPool().token()
    assert lets_in(authorizer, token)
    assert lets_in(authorizer, token)
    now = time.time()
    monkeypatch.setattr(of_tokens.time, "time", lambda: now + 3601)
    assert not lets_in(authorizer, token)


def test_a_token_that_is_not_valid_yet_is_let_in_later(monkeypatch: pytest.MonkeyPatch):
    later = datetime.now(UTC) + timedelta(minutes=10)
    authorizer, token = Authorizer(MemoryPool(), set()), MemoryPool().token(nbf=int(later.timestamp()))
    assert not lets_in(authorizer, token)
    monkeypatch.setattr("jwt.api_jwt.datetime", SimpleNamespace(now=lambda **_: later))
    assert lets_in(authorizer, token)


@pytest.mark.parametrize(
    ("fault", "changes"),
    [
        (PlatformFault.EXPIRED_ACCEPTED, {"exp": 1}),
        (PlatformFault.OTHER_CLIENT_ACCEPTED, {"aud": OTHER_CLIENT}),
        (PlatformFault.ACCESS_TOKEN_ACCEPTED, {"token_use": "access", "aud": None, "client_id": MemoryPool.client_id}),
    ],
)
def test_a_fault_counts_from_the_moment_it_is_there_until_it_is_gone(fault: PlatformFault, changes: dict[str, object]):
    faults: set[PlatformFault] = set()
    authorizer, token = Authorizer(MemoryPool(), faults), MemoryPool().token(**changes)
    for there in (False, True, False, True):
        faults.clear()
        faults.update({fault} if there else ())
        assert lets_in(authorizer, token) is there


def test_a_signature_that_is_wrong_stays_wrong_beside_one_that_is_right():
    authorizer, token = Authorizer(MemoryPool(), set()), MemoryPool().token()
    head, body, signature = token.split(".")
    other = MemoryPool().token(sub="somebody-else").split(".")[2]
    for _ in range(2):
        assert lets_in(authorizer, token)
        assert not lets_in(authorizer, f"{head}.{body}.{other}")
        assert not lets_in(authorizer, f"{head}.{body}.{signature[:-4]}")
