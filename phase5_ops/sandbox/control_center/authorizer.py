"""Who a request to the sandbox's Control Center comes from: the token is verified, and the tenant is the token's claim.

With a fault one step of the verification is really left out, or the tenant is taken from somewhere else. What a healthy Control
Center asks of a token: RS256, a key of the pool by its id, the pool as issuer, the web client as audience, not expired, an id
token. The tenant is `custom:tenant_id`; the accounts are those of `custom:account_ids`, and all of the tenant's without it.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from phase5_ops.sandbox.ccnative.user_pool import UserPool
from phase5_ops.sandbox.control_center.planted_faults import Who
from phase5_ops.sandbox.state.platform_faults import PlatformFault

TENANT_HEADER = "x-tenant-id"
TENANT_PARAMETERS = ("tenant_id", "tenantId")

Claims = Mapping[str, Any]


class Unauthorized(Exception):
    """The request has no token that lets it in."""


@dataclass(frozen=True, slots=True)
class ControlCenterCaller:
    """Who asks.

    Attributes:
        tenant: the tenant that the request acts for; None where a fault lets in a request that names none.
        accounts: the accounts it may name; None for all of the tenant's.
        identities: the names the token gives its user; the first is the one that records keep. Empty without a token.
    """

    tenant: str | None
    accounts: frozenset[str] | None
    identities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Hints:
    """Where a request names a tenant besides its token.

    Attributes:
        query: parameter `tenant_id` or `tenantId`.
        headers: all headers as sent, in order.
        body: the field of that name in the body.
    """

    query: str | None
    headers: tuple[tuple[str, str], ...]
    body: str | None

    def header(self, *, any_case: bool) -> str | None:
        """`x-tenant-id`: as written by the platform's own clients, or in any case."""
        for name, value in self.headers:
            if name == TENANT_HEADER or (any_case and name.lower() == TENANT_HEADER):
                return value or None
        return None


@dataclass(frozen=True, slots=True)
class Presented:
    """What an Authorization header holds, whether or not it lets anybody in.

    Attributes:
        who: which kind it is.
        tenant, accounts: what it claims, where it can be read.
        identities: the names that it gives its user.
    """

    who: Who
    tenant: str | None = None
    accounts: frozenset[str] | None = None
    identities: tuple[str, ...] = ()


class Authorizer:
    """Verifies tokens against the pool's keys."""

    def __init__(self, pool: UserPool, platform_faults: set[Any]) -> None:
        self._pool, self._faults = pool, platform_faults
        self._key_set = pool.keys["keys"]
        self._keys = {key["kid"]: jwt.PyJWK(key, algorithm="RS256").key for key in self._key_set}
        self._presented: dict[str, Presented] = {}
        self._decoded: dict[tuple[str, frozenset[Any]], Claims | jwt.PyJWTError] = {}

    def caller(self, authorization: str | None, hints: Hints) -> ControlCenterCaller:
        """The caller of a request.

        Raises:
            Unauthorized: nothing lets it in.
        """
        try:
            claims = self._claims(authorization)
        except Unauthorized:
            if tenant := self._fallback(hints):
                return ControlCenterCaller(tenant, None, ())
            raise
        return self._caller_of(claims, hints)

    def kind_of(self, authorization: str | None) -> Presented:
        """What an Authorization header holds. The answer for a token is kept, since it takes long to find."""
        if authorization is None:
            return Presented(Who.ANONYMOUS)
        token = _token_in(authorization)
        if not token:
            return Presented(Who.EMPTY)
        if token not in self._presented:
            self._presented[token] = self._looked_at(token)
        return self._presented[token]

    def _looked_at(self, token: str) -> Presented:
        claims = _unverified(token)
        try:
            header = jwt.get_unverified_header(token)
        except jwt.PyJWTError:
            header = _header_of(token)
        if not claims or not header:
            return Presented(Who.GARBAGE)
        who = self._kind(token, header, claims)
        tenant = claims.get(_TENANT_CLAIM)
        listed = _listed(tenant)
        if listed is not None:
            tenant = listed[0] if listed else None
        known = str(tenant).strip().lower() if tenant is not None and str(tenant).strip() else None
        accounts = _accounts(claims.get(_ACCOUNTS_CLAIM))
        return Presented(who, known if who in _MISSHAPEN else _text(tenant), accounts, _identities(claims))

    def _kind(self, token: str, header: Mapping[str, Any], claims: Claims) -> Who:
        if str(header.get("alg")).lower() == "none":
            return Who.ALG_NONE
        if header.get("alg") == "HS256":
            return Who.HS256 if self._signed_with_public_key(token) else Who.GARBAGE
        if not self._signed_by_pool(token, header):
            if "jwk" in header:
                return Who.EMBEDDED_JWK
            if "jku" in header:
                return Who.JKU
            if header.get("kid") not in self._keys:
                return Who.UNKNOWN_KID
            own = self._pool.attributes_of(_username(claims)).get(_TENANT_CLAIM)
            return Who.SELF_SIGNED if own == claims.get(_TENANT_CLAIM) else Who.TAMPERED
        if float(claims.get("exp") or 0) <= time.time():
            return Who.EXPIRED
        if claims.get("token_use") == "access":
            return Who.ACCESS
        if claims.get("aud") != self._pool.client_id:
            return Who.OTHER_CLIENT
        return _shape_of(claims)

    def _signed_by_pool(self, token: str, header: Mapping[str, Any]) -> bool:
        key = self._keys.get(str(header.get("kid")))
        try:
            claims = key and jwt.decode(
                token, key, algorithms=["RS256"], options={"verify_exp": False, "verify_aud": False, "verify_iat": False}
            )
            return bool(claims)
        except jwt.PyJWTError:
            return False

    def _caller_of(self, claims: Claims, hints: Hints) -> ControlCenterCaller:
        attributes: Mapping[str, Any] = claims
        if claims.get("token_use") == "access" and (username := _username(claims)):
            attributes = {**self._pool.attributes_of(username), **claims}
        identities = _identities(attributes)
        tenant = None if _shape_of(attributes) in _MISSHAPEN else _text(attributes.get(_TENANT_CLAIM))
        chosen = self._override(hints)
        if chosen and chosen != tenant:
            return ControlCenterCaller(chosen, None, identities)  # the claim's accounts are of the claim's tenant
        if tenant is None and not {PlatformFault.NO_TOKEN_ACCEPTED, PlatformFault.ANY_TOKEN_ACCEPTED} & self._faults:
            raise Unauthorized("tenant_id required (from auth)")
        return ControlCenterCaller(tenant, _accounts(attributes.get(_ACCOUNTS_CLAIM)), identities)

    def _override(self, hints: Hints) -> str | None:
        """The tenant that a fault takes although the token names one."""
        if PlatformFault.TENANT_FROM_QUERY in self._faults and hints.query:
            return hints.query
        any_case = PlatformFault.TENANT_FROM_HEADER_ANY_CASE in self._faults
        if (any_case or PlatformFault.TENANT_FROM_HEADER in self._faults) and (header := hints.header(any_case=any_case)):
            return header
        return hints.body if PlatformFault.TENANT_FROM_BODY in self._faults else None

    def _fallback(self, hints: Hints) -> str | None:
        """The tenant that a fault takes where no token names one."""
        if PlatformFault.TENANT_FALLBACK_QUERY in self._faults and hints.query:
            return hints.query
        if PlatformFault.TENANT_FALLBACK_HEADER in self._faults and (header := hints.header(any_case=True)):
            return header
        return hints.body if PlatformFault.TENANT_FALLBACK_BODY in self._faults else None

    def _claims(self, authorization: str | None) -> Claims:
        """The claims of a token that lets the request in."""
        token = _token_in(authorization or "")
        if not token:
            if PlatformFault.NO_TOKEN_ACCEPTED in self._faults:
                return {}
            raise Unauthorized("Unauthorized")
        try:
            return self._verified(token)
        except jwt.PyJWTError as error:
            if PlatformFault.ANY_TOKEN_ACCEPTED in self._faults:
                return _unverified(token)
            raise Unauthorized("Unauthorized") from error

    def _verified(self, token: str) -> Claims:
        """The claims, once signature, times, issuer, audience and use are as they must be.

        What is found is kept for the token and the faults in force; whether it has expired meanwhile is looked at each time.

        Raises:
            jwt.PyJWTError: they are not.
        """
        key = (token, frozenset(_FAULTS_OF_TOKENS & self._faults))
        if key not in self._decoded:
            try:
                self._decoded[key] = self._decode(token)
            except jwt.ImmatureSignatureError:  # it may be valid later
                raise
            except jwt.PyJWTError as error:
                self._decoded[key] = error
        found = self._decoded[key]
        if isinstance(found, jwt.PyJWTError):
            raise type(found)(*found.args)
        if PlatformFault.EXPIRED_ACCEPTED not in self._faults and int(found["exp"]) <= time.time():
            raise jwt.ExpiredSignatureError("Signature has expired")
        return found

    def _decode(self, token: str) -> Claims:
        header = jwt.get_unverified_header(token)
        algorithm, kid = header.get("alg"), header.get("kid")
        unsigned = str(algorithm).lower() == "none" and PlatformFault.ALG_NONE_ACCEPTED in self._faults
        hashed = (
            algorithm == "HS256"
            and PlatformFault.HS256_PUBLIC_KEY_ACCEPTED in self._faults
            and self._signed_with_public_key(token)
        )
        unchecked = algorithm == "RS256" and (
            PlatformFault.SIGNATURE_NOT_CHECKED in self._faults
            or (kid not in self._keys and PlatformFault.UNKNOWN_KID_ACCEPTED in self._faults)
        )
        if unsigned or hashed or unchecked:
            key: Any = ""
        elif algorithm == "RS256" and kid in self._keys:
            key = self._keys[kid]
        else:
            raise jwt.InvalidTokenError("unknown algorithm or key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=["RS256"],
            issuer=self._pool.issuer,
            options={
                "verify_signature": key != "",
                "verify_iss": True,
                "verify_aud": False,  # see _check_use
                "verify_exp": PlatformFault.EXPIRED_ACCEPTED not in self._faults,
                "verify_iat": False,
                "require": ["exp", "iss", "sub", "token_use"],
            },
        )
        self._check_use(claims)
        return claims

    def _check_use(self, claims: Claims) -> None:
        """An id token for the web client; an access token names its client in a claim of its own."""
        uses = {"id"} | ({"access"} if PlatformFault.ACCESS_TOKEN_ACCEPTED in self._faults else set())
        if claims["token_use"] not in uses:
            raise jwt.InvalidTokenError("not an id token")
        is_access = claims["token_use"] == "access"  # noqa: S105 - the name of a claim is no password
        audience = claims.get("client_id" if is_access else "aud")
        if audience != self._pool.client_id and PlatformFault.OTHER_CLIENT_ACCEPTED not in self._faults:
            raise jwt.InvalidAudienceError("another client's token")

    def _signed_with_public_key(self, token: str) -> bool:
        """Whether the token is an HMAC keyed with a public key of the pool, in any of its usual forms."""
        signed, _, signature = token.rpartition(".")
        given = _decoded(signature)
        secrets = [secret for key in self._keys.values() for secret in _forms(key)]
        secrets += [json.dumps(key).encode() for key in self._key_set]
        digests = (hmac.new(secret, signed.encode(), hashlib.sha256).digest() for secret in secrets)
        return any(hmac.compare_digest(digest, given) for digest in digests)


_TENANT_CLAIM, _ACCOUNTS_CLAIM = "custom:tenant_id", "custom:account_ids"
#: Faults that decide whether a token is valid.
_FAULTS_OF_TOKENS = frozenset(
    {
        PlatformFault.ALG_NONE_ACCEPTED,
        PlatformFault.HS256_PUBLIC_KEY_ACCEPTED,
        PlatformFault.SIGNATURE_NOT_CHECKED,
        PlatformFault.UNKNOWN_KID_ACCEPTED,
        PlatformFault.EXPIRED_ACCEPTED,
        PlatformFault.ACCESS_TOKEN_ACCEPTED,
        PlatformFault.OTHER_CLIENT_ACCEPTED,
    }
)
#: Kinds of token whose claim names a tenant in a shape that a fault reads all the same.
_MISSHAPEN = frozenset({Who.CLAIM_LIST, Who.CLAIM_BLANK, Who.CLAIM_CASE})


def _shape_of(claims: Claims) -> Who:
    """Which kind a genuine id token is, by the shape of its tenant claim."""
    tenant = claims.get(_TENANT_CLAIM)
    if tenant is None:
        return Who.UNCLAIMED
    if not isinstance(tenant, str) or tenant.strip()[:1] == "[":
        return Who.CLAIM_LIST
    if tenant == "":
        return Who.CLAIM_EMPTY
    if tenant != tenant.strip():
        return Who.CLAIM_BLANK
    return Who.CLAIMED if tenant == tenant.lower() else Who.CLAIM_CASE


def _token_in(authorization: str) -> str:
    """The token of an Authorization header, with or without `Bearer` before it; "" for none."""
    scheme, _, rest = authorization.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else authorization.strip()


def _username(claims: Claims) -> str:
    return str(claims.get("cognito:username") or claims.get("username") or "")


def _identities(claims: Claims) -> tuple[str, ...]:
    """The names that a token gives its user, the one that records keep first."""
    return tuple(str(name) for name in (_username(claims), claims.get("email"), claims.get("sub")) if name)


def _header_of(token: str) -> dict[str, Any]:
    """The header of a token that PyJWT does not take for one."""
    try:
        found = json.loads(_decoded(token.split(".", maxsplit=1)[0]))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _forms(key: Any) -> Iterable[bytes]:  # noqa: ANN401 - a public key of cryptography
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1):
        pem = key.public_bytes(Encoding.PEM, form)
        yield from (pem, pem.strip(), key.public_bytes(Encoding.DER, form))


def _decoded(part: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except ValueError:
        return b""


def _unverified(token: str) -> Claims:
    """The claims of a token, which is not verified; empty where it is no token at all."""
    parts = token.split(".")
    try:
        claims = json.loads(_decoded(parts[1])) if len(parts) > 1 else {}
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _accounts(claim: object) -> frozenset[str] | None:
    if claim is None:
        return None
    if isinstance(claim, list):
        return frozenset(str(account) for account in claim)
    return frozenset(part.strip() for part in str(claim).split(",") if part.strip())


def _listed(claim: object) -> list[Any] | None:
    """The entries of a claim that is a list, or the JSON text of one: user pools keep texts."""
    if isinstance(claim, str) and claim.strip()[:1] == "[":
        try:
            claim = json.loads(claim)
        except ValueError:
            return None
    return claim if isinstance(claim, list) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
