"""Tokens of the probe users, from the real user pool, and the pool's public keys.

The admin flow (AdminInitiateAuth, ADMIN_USER_PASSWORD_AUTH) is used rather than InitiateAuth: it needs an IAM permission, so
that the password alone is worth nothing, CloudTrail names the caller, and the client of the web application need not allow
passwords from browsers. User name and password come from the settings, or from Secrets Manager through the bounded reader:
dagster-aws' resource for a single secret ignores the endpoint, and neither of its resources is bounded by the run's deadline.

A client with a secret takes a sign-in only with SECRET_HASH: HMAC-SHA256 of user name and client id under that secret, in base64.

Tokens and passwords are given to the redactor before anything else happens to them.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from phase5_ops.aws.reader import AwsReader
from phase5_ops.input_files.json_text import json_value
from phase5_ops.input_files.written_twice import distinct_json
from phase5_ops.probing.channel import ACCOUNTS_CLAIM, TENANT_CLAIM
from phase5_ops.probing.client import HttpClient, json_of
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.probing.forge import TokenKind, claims_of, header_of
from phase5_ops.probing.guard import tenants_claimed
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import Request
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import PoolUser, ProbeUser

IAM_ACTIONS = ("cognito-idp:AdminInitiateAuth", "secretsmanager:GetSecretValue")

_REMEDIES = {"NEW_PASSWORD_REQUIRED": "set a permanent password (admin-set-user-password --permanent)"}


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
            claim = json_value(claim)
        except ValueError:
            return None
    names = claim if isinstance(claim, list) else str(claim).replace(",", " ").split()
    return frozenset(str(name).strip() for name in names)


def why_unfit(kind: TokenKind, claims: Mapping[str, Any], tenant_a: str, tenant_b: str) -> str | None:
    """Why the token of a user other than A is not one of its kind; None if it is."""
    claim = claims.get(TENANT_CLAIM)
    text = claim if isinstance(claim, str) else ""
    fits = {
        TokenKind.VALID_B: claim == tenant_b,
        TokenKind.UNSCOPED: claim == tenant_a and not claims.get(ACCOUNTS_CLAIM),
        TokenKind.UNCLAIMED: claim in (None, ""),
        TokenKind.CLAIM_EMPTY: claim in (None, ""),  # a pool of Cognito drops an attribute that is set to nothing
        TokenKind.CLAIM_BLANKS: text != tenant_a and text.strip() == tenant_a,
        TokenKind.CLAIM_CASE: text != tenant_a and text.casefold() == tenant_a.casefold(),
        TokenKind.CLAIM_LIST: claim != tenant_a and set(tenants_claimed(claim)) == {tenant_a, tenant_b},
    }[kind]
    if claims.get("token_use") != "id":
        return f"token_use = {claims.get('token_use')}"
    return None if fits else f"{TENANT_CLAIM} = {claim!r}"[:120]


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a probe user signs in with; the clients' secrets are None where the clients have none."""

    username: str
    password: str = field(repr=False)
    client_secret: str | None = field(default=None, repr=False)
    other_client_secret: str | None = field(default=None, repr=False)


def secret_hash(username: str, client_id: str, client_secret: str) -> str:
    """SECRET_HASH as Cognito computes it."""
    digest = hmac.new(client_secret.encode(), f"{username}{client_id}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode()


@dataclass(frozen=True, slots=True)
class Pool:
    """The user pool and the client that the Control Center expects tokens of."""

    reader: AwsReader
    pool_id: str
    client_id: str
    redactor: Redactor

    def sign_in(self, who: str, user: ProbeUser, *, client_id: str | None = None) -> tuple[Identity, list[Read]]:
        """Signs in user `who` (A or B); returns the identity and the reads.

        Raises:
            Obstructed: no token, or one that is not of the configured test tenant.
        """
        identity, reads = self.authenticate(who, user, client_id=client_id)
        subject, wanted = f"probe user {who}", f"{TENANT_CLAIM} = {user.tenant_id}"
        tenant, use = identity.claims.get(TENANT_CLAIM), identity.claims.get("token_use")
        if not tenant:
            raise Obstructed(ProbingCode.PROBE_TOKEN_UNUSABLE, subject, expected=wanted, seen="no such claim")
        if tenant != user.tenant_id:
            raise Obstructed(ProbingCode.PROBE_TENANT_REFUSED, subject, expected=wanted, seen=f"{TENANT_CLAIM} = {tenant}")
        if use != "id":
            raise Obstructed(ProbingCode.PROBE_TOKEN_UNUSABLE, subject, expected="an id token", seen=f"token_use = {use}")
        return identity, reads

    def authenticate(self, who: str, user: PoolUser, *, client_id: str | None = None) -> tuple[Identity, list[Read]]:
        """Signs in a user, whatever its token claims (`tenant` is "" where that is no text); returns identity and reads.

        Raises:
            Obstructed: no token.
        """
        credentials, reads = self.credentials(who, user)
        parameters = {"USERNAME": credentials.username, "PASSWORD": credentials.password}
        secret = credentials.client_secret if client_id is None else credentials.other_client_secret
        if secret is not None:
            parameters["SECRET_HASH"] = secret_hash(credentials.username, client_id or self.client_id, secret)
        answer = self.reader.call(
            "cognito-idp",
            "admin_initiate_auth",
            self.pool_id,
            UserPoolId=self.pool_id,
            ClientId=client_id or self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters=parameters,
        )
        if answer.read.status is not ReadStatus.OK:
            raise _no_token(who, self.redactor(f"{answer.read.status}: {answer.read.error}"))
        result = answer.pages[0].get("AuthenticationResult") or {}
        if "IdToken" not in result:
            challenge = answer.pages[0].get("ChallengeName")
            remedy = _REMEDIES.get(str(challenge), "give the user neither MFA nor another challenge")
            raise _no_token(
                who, f"the user pool asks for {challenge} first: {remedy}" if challenge else "an answer without a token"
            )
        self.redactor.add(*(str(value) for key, value in result.items() if key.endswith("Token")))
        try:
            claims = claims_of(result["IdToken"])
        except ValueError:
            raise Obstructed(
                ProbingCode.PROBE_TOKEN_UNUSABLE, f"probe user {who}", expected="a JWT", seen="something else"
            ) from None
        tenant = claims.get(TENANT_CLAIM)
        named = tenant if isinstance(tenant, str) else ""
        access = str(result.get("AccessToken", ""))
        return Identity(named, credentials.username, result["IdToken"], access, claims), [*reads, answer.read]

    def credentials(self, who: str, user: PoolUser) -> tuple[Credentials, list[Read]]:
        """What a user signs in with, from the settings or Secrets Manager; and the reads.

        Raises:
            Obstructed: something of it is not set, or the secret cannot be read or used.
        """
        prefix = f"PHASE5_PROBE_USERS__{who}__"
        if user.secret_id is None:
            if user.username is None or user.password is None:
                raise Obstructed(
                    ProbingCode.PROBE_SETTING_MISSING,
                    f"probe user {who}",
                    expected=f"{prefix}USERNAME and {prefix}PASSWORD, or {prefix}SECRET_ID",
                    seen="not set",
                )
            secret = user.client_secret.get_secret_value() if user.client_secret is not None else None
            self.redactor.add(user.password.get_secret_value(), secret or "")
            return Credentials(user.username, user.password.get_secret_value(), secret), []
        answer = self.reader.call("secretsmanager", "get_secret_value", user.secret_id, SecretId=user.secret_id)
        if answer.read.status is not ReadStatus.OK:
            seen = f"{answer.read.operation}: {answer.read.status}: {answer.read.error}"
            raise _no_token(who, seen, expected=f"the secret {user.secret_id}")
        try:
            content = distinct_json(answer.pages[0]["SecretString"])
            clients = [str(content[name]) if content.get(name) else None for name in ("client_secret", "other_client_secret")]
            credentials = Credentials(str(content["username"]), str(content["password"]), *clients)
        except (AttributeError, KeyError, TypeError, ValueError):
            expected = f"the secret {user.secret_id} as JSON with username and password"
            raise _no_token(who, "something else, which is not shown", expected=expected) from None
        self.redactor.add(credentials.password, *(secret for secret in clients if secret))
        return credentials, [answer.read]


def _no_token(who: str, seen: str, *, expected: str = "a token of the user pool") -> Obstructed:
    return Obstructed(ProbingCode.PROBE_TOKEN_UNAVAILABLE, f"probe user {who}", expected=expected, seen=seen)


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

    def signing_key(self, token: str) -> dict[str, Any]:
        """The entry of the key set that signed `token`.

        Raises:
            ValueError: the key set cannot be read or has no such key.
        """
        key_id = header_of(token).get("kid")
        for entry in self.entries():
            if entry.get("kid") == key_id:
                return entry
        raise ValueError(f"no key {key_id!r} in the pool's key set")
