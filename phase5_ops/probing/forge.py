"""Forged tokens for the refusal probes: what an attacker without the pool's private key can make. Pure.

Each forgery starts from a genuine, current id token of the test tenant and breaks exactly one thing, so that a Control Center
that accepts it does not check that thing. Sources: RFC 8725 (JSON Web Token best current practices), sections 2.1 (algorithm
confusion, none), 2.2, 3.10 (received claims such as jku, jwk, kid), 3.8 and 3.9 (issuer, audience), 3.12 (other kinds of token).
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from jwt.utils import base64url_decode, base64url_encode

from phase5_ops.probing.channel import TENANT_CLAIM, token_part

GARBAGE = "phase5.probe.garbage"
FOREIGN_KEYS = "https://phase5-probe.invalid/jwks.json"  # .invalid never resolves (RFC 2606): nobody is contacted
_KEY_SIZE = 2048


class TokenKind(StrEnum):
    """Who asks: what stands in the Authorization header of a probe."""

    VALID = "valid"  # user A's own id token, whose custom:account_ids names account A alone
    NONE = "no_token"
    EMPTY = "empty_token"
    GARBAGE = "garbage"
    ALG_NONE = "alg_none"
    ALG_NONE_TITLE = "alg_none_title"
    ALG_NONE_UPPER = "alg_none_upper"
    ALG_NONE_MIXED = "alg_none_mixed"
    HS256_PEM = "hs256_public_key"
    HS256_DER = "hs256_public_key_der"
    HS256_JWK = "hs256_public_key_jwk"
    TAMPERED = "tampered_payload"
    SELF_SIGNED = "self_signed"
    UNKNOWN_KID = "unknown_kid"
    EMBEDDED_JWK = "embedded_jwk"
    JKU = "foreign_jku"
    EXPIRED = "expired"
    OTHER_CLIENT = "other_client"
    ACCESS = "access_token"
    # Forged, and also without the claim of a tenant, or with one that no tenant has
    FORGED_UNCLAIMED = "self_signed_without_tenant"
    FORGED_EMPTY = "self_signed_empty_tenant"
    FORGED_LIST = "self_signed_list_of_tenants"
    # Genuine id tokens of further users of the pool
    VALID_B = "valid_of_b"  # user B's own
    UNSCOPED = "valid_without_accounts"  # of tenant A, without custom:account_ids
    UNCLAIMED = "without_tenant_claim"  # without custom:tenant_id
    CLAIM_EMPTY = "tenant_claim_empty"
    CLAIM_BLANKS = "tenant_claim_with_blanks"
    CLAIM_CASE = "tenant_claim_in_other_case"
    CLAIM_LIST = "tenant_claim_as_list"  # the text of a JSON list: Cognito's attributes are texts


#: Further probe users: the kind of token that each is for, and its name in the settings.
FURTHER_USERS = {
    TokenKind.UNSCOPED: "unscoped",
    TokenKind.UNCLAIMED: "unclaimed",
    TokenKind.CLAIM_EMPTY: "claim_empty",
    TokenKind.CLAIM_BLANKS: "claim_blanks",
    TokenKind.CLAIM_CASE: "claim_case",
    TokenKind.CLAIM_LIST: "claim_list",
}

#: Forgeries that break the signature and the claim of the tenant.
OTHER_CLAIMS = frozenset((TokenKind.FORGED_UNCLAIMED, TokenKind.FORGED_EMPTY, TokenKind.FORGED_LIST))


class WhoGroup(StrEnum):
    """Kinds that a Control Center refuses or lets in for the same reason; pairwise covering uses these groups."""

    NOBODY = "nobody"
    INVALID = "invalid"
    UNCLAIMED = "unclaimed"
    CLAIMED = "claimed"


#: Genuine tokens whose claim is no tenant's id, though it looks like one.
ODD_CLAIMS = (TokenKind.CLAIM_BLANKS, TokenKind.CLAIM_CASE, TokenKind.CLAIM_LIST)

_GROUPS = {
    **dict.fromkeys((TokenKind.NONE, TokenKind.EMPTY), WhoGroup.NOBODY),
    **dict.fromkeys((TokenKind.UNCLAIMED, TokenKind.CLAIM_EMPTY), WhoGroup.UNCLAIMED),
    **dict.fromkeys((TokenKind.VALID, TokenKind.VALID_B, TokenKind.UNSCOPED, *ODD_CLAIMS), WhoGroup.CLAIMED),
}


def group_of(kind: TokenKind) -> WhoGroup:
    """The group of a kind of token."""
    return _GROUPS.get(kind, WhoGroup.INVALID)


#: The dimension "who": the base is user A.
WHO = tuple(TokenKind)


_ALG_NONE = {
    TokenKind.ALG_NONE: "none",
    TokenKind.ALG_NONE_TITLE: "None",
    TokenKind.ALG_NONE_UPPER: "NONE",
    TokenKind.ALG_NONE_MIXED: "nOnE",
}


def public_key_of(jwk: Mapping[str, Any]) -> rsa.RSAPublicKey:
    """The RSA key of an entry of the pool's key set.

    Raises:
        ValueError: the entry is no public RSA key.
    """
    try:
        key = RSAAlgorithm.from_jwk(dict(jwk))
    except (jwt.InvalidKeyError, TypeError) as error:  # TypeError: a number that is no text
        raise ValueError(f"not an RSA key: {error}") from None
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not a public key")  # noqa: TRY004 - the caller reads outside data
    return key


def header_of(token: str) -> dict[str, Any]:
    """The header of a token, unchecked.

    Raises:
        ValueError: it is no token.
    """
    try:
        return dict(jwt.get_unverified_header(token))
    except jwt.PyJWTError as error:
        raise ValueError(f"not a token: {type(error).__name__}") from None


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unchecked.

    Raises:
        ValueError: it is no token.
    """
    try:
        return dict(jwt.decode(token, options={"verify_signature": False}))
    except jwt.PyJWTError as error:
        raise ValueError(f"not a token: {type(error).__name__}") from None


@dataclass(frozen=True)
class Forger:
    """Makes the forgeries of one genuine token.

    Attributes:
        genuine: a current id token of test tenant A.
        jwk: the pool's public key that signed it, as its key set shows it.
        foreign_tenant: test tenant B, which the tampered payload claims.
    """

    genuine: str
    jwk: Mapping[str, Any]
    foreign_tenant: str

    def __repr__(self) -> str:
        return "Forger()"

    def token(self, kind: TokenKind) -> str:
        """The forgery of that kind.

        Raises:
            KeyError: the kind is no forgery.
        """
        return self._makers[kind]()

    @property
    def kinds(self) -> frozenset[TokenKind]:
        """What can be forged beside `OTHER_CLAIMS`; all but the tampered one claim what the genuine token claims."""
        return frozenset(self._makers) - OTHER_CLAIMS

    @cached_property
    def _makers(self) -> dict[TokenKind, Callable[[], str]]:
        return {
            TokenKind.GARBAGE: lambda: GARBAGE,
            **{kind: self._unsigned(spelling) for kind, spelling in _ALG_NONE.items()},
            TokenKind.HS256_PEM: lambda: self._hs256(self._encoded(Encoding.PEM)),
            TokenKind.HS256_DER: lambda: self._hs256(self._encoded(Encoding.DER)),
            TokenKind.HS256_JWK: lambda: self._hs256(json.dumps(dict(self.jwk)).encode()),
            TokenKind.TAMPERED: self._tampered,
            TokenKind.SELF_SIGNED: lambda: self._self_signed(kid=self._kid),
            TokenKind.UNKNOWN_KID: lambda: self._self_signed(kid="phase5-unknown-key"),
            TokenKind.EMBEDDED_JWK: lambda: self._self_signed(kid="phase5-embedded-key", jwk=self._own_jwk),
            TokenKind.JKU: lambda: self._self_signed(kid="phase5-foreign-key", jku=FOREIGN_KEYS),
            TokenKind.FORGED_UNCLAIMED: lambda: self._self_signed_for(None),
            TokenKind.FORGED_EMPTY: lambda: self._self_signed_for(""),
            TokenKind.FORGED_LIST: lambda: self._self_signed_for([self.foreign_tenant]),
        }

    @cached_property
    def _claims(self) -> dict[str, Any]:
        return claims_of(self.genuine)

    @cached_property
    def _kid(self) -> str:
        return str(header_of(self.genuine).get("kid", ""))

    @cached_property
    def _own_jwk(self) -> dict[str, Any]:
        return dict(json.loads(RSAAlgorithm.to_jwk(_foreign_key().public_key())))

    def _encoded(self, encoding: Encoding) -> bytes:
        return public_key_of(self.jwk).public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)

    def _unsigned(self, spelling: str) -> Callable[[], str]:
        return lambda: f"{_signing_input({'alg': spelling, 'typ': 'JWT', 'kid': self._kid}, self._claims)}."

    def _hs256(self, key: bytes) -> str:
        """Algorithm confusion: the public key as HMAC secret. Made by hand, since PyJWT rightly refuses such a key."""
        content = _signing_input({"alg": "HS256", "typ": "JWT", "kid": self._kid}, self._claims)
        signature = hmac.new(key, content.encode(), hashlib.sha256).digest()
        return f"{content}.{base64url_encode(signature).decode()}"

    def _tampered(self) -> str:
        """The genuine header and signature around a payload that claims the other test tenant."""
        header, payload, signature = self.genuine.split(".")
        claims = {**json.loads(base64url_decode(payload)), TENANT_CLAIM: self.foreign_tenant}
        return f"{header}.{token_part(claims)}.{signature}"

    def _self_signed_for(self, tenant: str | list[str] | None) -> str:
        """Signed with our own key under the pool's key id, with this tenant claim, or without one (None)."""
        claims = {name: value for name, value in self._claims.items() if name != TENANT_CLAIM}
        claims |= {} if tenant is None else {TENANT_CLAIM: tenant}
        return jwt.encode(claims, _foreign_key(), algorithm="RS256", headers={"kid": self._kid})

    def _self_signed(self, **header: Any) -> str:  # noqa: ANN401 - header fields
        return jwt.encode(self._claims, _foreign_key(), algorithm="RS256", headers=header)


@cache
def _foreign_key() -> rsa.RSAPrivateKey:
    """A key of ours that no pool knows; made once per process, since making one is slow."""
    return rsa.generate_private_key(public_exponent=65537, key_size=_KEY_SIZE)


def _signing_input(header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    return f"{token_part(header)}.{token_part(claims)}"
