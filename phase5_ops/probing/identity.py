"""Tokens of the probe users, from the real user pool, and the pool's public keys.

The admin flow (AdminInitiateAuth, ADMIN_USER_PASSWORD_AUTH) is used rather than InitiateAuth: it needs an IAM permission, so
that the password alone is worth nothing, CloudTrail names the caller, and the client of the web application need not allow
passwords from browsers. User name and password come from the settings, or from Secrets Manager through the bounded reader:
dagster-aws' resource for a single secret ignores the endpoint, and neither of its resources is bounded by the run's deadline.

Tokens and passwords are given to the redactor before anything else happens to them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from phase5_ops.aws.reader import AwsReader
from phase5_ops.probing.client import HttpClient, json_of
from phase5_ops.probing.codes import (
    PROBE_SETTING_MISSING,
    PROBE_TENANT_REFUSED,
    PROBE_TOKEN_UNAVAILABLE,
    PROBE_TOKEN_UNUSABLE,
    Obstructed,
)
from phase5_ops.probing.forge import claims_of, header_of
from phase5_ops.probing.guard import ACCOUNTS_CLAIM, TENANT_CLAIM
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import Request
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ProbeUser

IAM_ACTIONS = ("cognito-idp:AdminInitiateAuth", "secretsmanager:GetSecretValue")


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in probe user; the tokens are not shown."""

    tenant: str
    username: str
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def names(self) -> frozenset[str]:
        """Every name under which the token knows its user."""
        claimed = (self.claims.get(name) for name in ("sub", "cognito:username", "username", "email", "preferred_username"))
        return frozenset(str(name) for name in claimed if name)

    @property
    def name(self) -> str:
        """The name that a well-behaved caller gives as requested_by."""
        return str(self.claims.get("email") or self.claims.get("cognito:username") or self.claims.get("sub"))

    @property
    def accounts(self) -> frozenset[str] | None:
        """The accounts of `custom:account_ids`; None where the token names none."""
        return parse_accounts(self.claims.get(ACCOUNTS_CLAIM))


def parse_accounts(claim: object) -> frozenset[str] | None:
    """The accounts of the claim `custom:account_ids`: a JSON list, a list, or names separated by commas or blanks."""
    if claim is None or claim == "":
        return None
    if isinstance(claim, str) and claim.strip().startswith("["):
        try:
            claim = json.loads(claim)
        except ValueError:
            return None
    names = claim if isinstance(claim, list) else str(claim).replace(",", " ").split()
    return frozenset(str(name).strip() for name in names)


@dataclass(frozen=True, slots=True)
class Pool:
    """The user pool and the client that the Control Center expects tokens of."""

    reader: AwsReader
    pool_id: str
    client_id: str
    redactor: Redactor

    def sign_in(self, who: str, user: ProbeUser, *, client_id: str | None = None) -> tuple[Identity, list[Read]]:
        """User `who` (A or B) signed in; and how it was read.

        Raises:
            Obstructed: no token, or one that is not of the configured test tenant.
        """
        name, password, reads = self._credentials(who, user)
        answer = self.reader.call(
            "cognito-idp",
            "admin_initiate_auth",
            self.pool_id,
            UserPoolId=self.pool_id,
            ClientId=client_id or self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": name, "PASSWORD": password},
        )
        if answer.read.status is not ReadStatus.OK:
            seen = self.redactor(f"{answer.read.status}: {answer.read.error}")
            raise Obstructed(PROBE_TOKEN_UNAVAILABLE, f"probe user {who}", expected="a token of the user pool", seen=seen)
        result = answer.pages[0].get("AuthenticationResult") or {}
        if "IdToken" not in result:
            challenge = answer.pages[0].get("ChallengeName", "no token at all")
            raise Obstructed(
                PROBE_TOKEN_UNAVAILABLE,
                f"probe user {who}",
                expected="a token of the user pool",
                seen=f"the pool asks for {challenge} first: set a permanent password (admin-set-user-password --permanent)",
            )
        self.redactor.add(*(str(value) for key, value in result.items() if key.endswith("Token")))
        return self._identity(who, user, name, result), [*reads, answer.read]

    def _identity(self, who: str, user: ProbeUser, name: str, result: Mapping[str, Any]) -> Identity:
        subject = f"probe user {who}"
        try:
            claims = claims_of(result["IdToken"])
        except ValueError:
            raise Obstructed(PROBE_TOKEN_UNUSABLE, subject, expected="a JWT", seen="something else") from None
        tenant = claims.get(TENANT_CLAIM)
        if not tenant:
            raise Obstructed(PROBE_TOKEN_UNUSABLE, subject, expected=f"{TENANT_CLAIM} = {user.tenant_id}", seen="no such claim")
        if tenant != user.tenant_id:
            raise Obstructed(
                PROBE_TENANT_REFUSED, subject, expected=f"{TENANT_CLAIM} = {user.tenant_id}", seen=f"{TENANT_CLAIM} = {tenant}"
            )
        if claims.get("token_use") != "id":
            raise Obstructed(PROBE_TOKEN_UNUSABLE, subject, expected="an id token", seen=f"token_use = {claims.get('token_use')}")
        return Identity(str(tenant), name, result["IdToken"], str(result.get("AccessToken", "")), claims)

    def _credentials(self, who: str, user: ProbeUser) -> tuple[str, str, list[Read]]:
        prefix = f"PHASE5_PROBE_USERS__{who}__"
        if user.secret_id is None:
            if user.username is None or user.password is None:
                raise Obstructed(
                    PROBE_SETTING_MISSING,
                    f"probe user {who}",
                    expected=f"{prefix}USERNAME and {prefix}PASSWORD, or {prefix}SECRET_ID",
                    seen="not set",
                )
            self.redactor.add(user.password.get_secret_value())
            return user.username, user.password.get_secret_value(), []
        answer = self.reader.call("secretsmanager", "get_secret_value", user.secret_id, SecretId=user.secret_id)
        if answer.read.status is not ReadStatus.OK:
            seen = f"{answer.read.operation}: {answer.read.status}: {answer.read.error}"
            raise Obstructed(PROBE_TOKEN_UNAVAILABLE, f"probe user {who}", expected=f"the secret {user.secret_id}", seen=seen)
        try:
            secret = json.loads(answer.pages[0]["SecretString"])
            self.redactor.add(str(secret["password"]))
            return str(secret["username"]), str(secret["password"]), [answer.read]
        except (KeyError, TypeError, ValueError):
            raise Obstructed(
                PROBE_TOKEN_UNAVAILABLE,
                f"probe user {who}",
                expected=f"the secret {user.secret_id} as JSON with username and password",
                seen="something else, which is not shown",
            ) from None

    def signing_key(self, token: str, client: "KeySetClient") -> dict[str, Any]:
        """The entry of the pool's key set that signed `token`.

        Raises:
            ValueError: the key set cannot be read or has no such key.
        """
        key_id = header_of(token).get("kid")
        for entry in client.entries():
            if entry.get("kid") == key_id:
                return entry
        raise ValueError(f"no key {key_id!r} in the pool's key set")


@dataclass(frozen=True, slots=True)
class KeySetClient:
    """Reads the pool's key set, which Cognito serves below its own endpoint."""

    endpoint: str
    pool_id: str
    timeout_seconds: float
    user_agent: str

    def entries(self) -> list[dict[str, Any]]:
        """The entries of the key set.

        Raises:
            ValueError: it cannot be read.
        """
        client = HttpClient(
            self.endpoint, timeout_seconds=self.timeout_seconds, user_agent=self.user_agent, redactor=Redactor(), shown_body=None
        )
        content = json_of(client.send, Request("GET", f"/{self.pool_id}/.well-known/jwks.json"))
        keys = content.get("keys") if isinstance(content, dict) else None
        if not isinstance(keys, list) or not all(isinstance(entry, dict) for entry in keys):
            raise ValueError("the key set is not a list of keys")
        return cast("list[dict[str, Any]]", keys)
