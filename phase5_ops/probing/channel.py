"""The channels through which a request can name a tenant or an account besides its token, as typed data. Pure.

The contract is one sentence ("from the verified claim alone, never from query, header or body"), and a platform can break it in
every place that its code reads: in each spelling, since a function behind a gateway sees the case of names; in a name given
twice, since parsers differ in which one they keep; and in headers that proxies and adapters set, since a caller can send them
too. The headers listed here are in real use: AWS load balancers (`x-amzn-oidc-*`), the Lambda web adapter
(`x-amzn-request-context`), serverless-express (`x-apigateway-event`), oauth2-proxy (`x-forwarded-user`, `x-auth-request-user`),
Kong (`x-consumer-custom-id`, `x-authenticated-userid`), Azure (`x-ms-client-principal-id`), IIS and Symfony (`x-original-url`,
`x-rewrite-url`), virtual hosts (`x-forwarded-host`).

What must not live here: what a probe expects. The guard reads the value back with `carried`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jwt.utils import base64url_decode, base64url_encode

from phase5_ops.probing.request import Request

#: The claims of a verified token that alone say for which tenant and accounts it may act.
TENANT_CLAIM, ACCOUNTS_CLAIM = "custom:tenant_id", "custom:account_ids"

_COOKIE = "Cookie"


class Subject(StrEnum):
    """What is named."""

    TENANT = "tenant"
    ACCOUNT = "account"


class Medium(StrEnum):
    """The part of a request that names it."""

    QUERY = "query"
    HEADER = "header"
    PROXY_HEADER = "proxy_header"
    COOKIE = "cookie"
    BODY = "body"
    PATH = "path"

    @property
    def source(self) -> str:
        """query, header, cookie, body or path: as findings say it."""
        return "header" if self is Medium.PROXY_HEADER else self.value


class Form(StrEnum):
    """How the value is written there."""

    PLAIN = "plain"
    OWN_FIRST = "own_first"  # the name twice: the caller's own value, then the other
    OWN_LAST = "own_last"
    ARRAY = "array"  # name[] in a query, a JSON list in a body
    CLAIMS = "claims"  # JSON as API Gateway hands the authorizer's claims to a function
    TOKEN = "token"  # noqa: S105 - an unsigned JWT that claims it
    URL = "url"  # a URL with it in the query
    KEY = "key"  # a partition key of the platform's tables


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to name a tenant or an account.

    Attributes:
        name: stable; part of the names of probes.
        subject: what it names.
        medium: where.
        keys: names of fields or headers that carry it; for a path the templates around `{path}` and `{value}`.
        form: how.
    """

    name: str
    subject: Subject
    medium: Medium
    keys: tuple[str, ...]
    form: Form = Form.PLAIN

    def put(self, request: Request, value: str, own: str) -> Request:
        """The request with `value` named through this channel; `own` is the caller's, for names given twice."""
        if self.medium is Medium.PATH:
            return replace(request, path=self.keys[0].format(path=request.path, value=value))
        if self.medium is Medium.COOKIE:
            others = [sent for name, sent in request.header_pairs if name == _COOKIE]
            kept = [pair for pair in request.header_pairs if pair[0] != _COOKIE]
            cookies = "; ".join([*others, *(f"{key}={value}" for key in self.keys)])  # one header: RFC 6265, 5.4
            return replace(request, headers=[*kept, (_COOKIE, cookies)])
        pairs = [(key, each) for key in self._names() for each in self._values(value, own)]
        if self.medium is Medium.QUERY:
            return replace(request, query=_placed(request.query_pairs, pairs))
        if self.medium is Medium.BODY:
            return replace(request, body=_placed(request.body_pairs, pairs))
        return replace(request, headers=_placed(request.header_pairs, pairs))

    def _names(self) -> list[str]:
        bracket = "[]" if self.form is Form.ARRAY and self.medium is Medium.QUERY else ""
        return [f"{key}{bracket}" for key in self.keys]

    def _values(self, value: str, own: str) -> list[Any]:
        match self.form:
            case Form.OWN_FIRST:
                return [own, value]
            case Form.OWN_LAST:
                return [value, own]
            case Form.ARRAY if self.medium is Medium.BODY:
                return [[value]]
            case Form.CLAIMS:
                context = {"authorizer": {"claims": {TENANT_CLAIM: value}}}
                return [json.dumps(context if "context" in self.keys[0] else {"requestContext": context})]
            case Form.TOKEN:
                return [f"{token_part({'alg': 'none', 'typ': 'JWT'})}.{token_part({TENANT_CLAIM: value})}."]
            case Form.URL:
                return [f"/replay?tenant_id={value}"]
            case Form.KEY:
                return [f"TENANT#{value}"]
            case _:
                return [value]

    def carried(self, sent: object) -> list[str]:
        """The values that a field or header of this channel names, taken out of what is sent.

        Raises:
            ValueError: it is not of the channel's form.
        """
        values: list[Any]
        match self.form:
            case Form.ARRAY if self.medium is Medium.BODY:
                values = sent if isinstance(sent, list) else [None]
            case Form.CLAIMS:
                values = [_claim_of(json.loads(str(sent)))]
            case Form.TOKEN:
                values = [_only_claim(json.loads(base64url_decode(str(sent).split(".")[1])))]
            case Form.URL:
                url = urlsplit(str(sent))
                fields = parse_qsl(url.query, strict_parsing=True) if url.path == "/replay" else []
                values = [value if name == "tenant_id" else None for name, value in fields] or [None]
            case Form.KEY:
                prefix, _, rest = str(sent).partition("#")
                values = [rest if prefix == "TENANT" else None]
            case _:
                values = [sent]
        if not all(isinstance(value, str) for value in values):
            raise ValueError(f"not of the form {self.form.value}")
        return list(values)

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields or headers as they are sent; empty for a path and for cookies."""
        fields = self.medium not in (Medium.PATH, Medium.COOKIE)
        return frozenset(self._names()) if fields else frozenset()


def _placed(existing: Sequence[tuple[str, Any]], pairs: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The fields with `pairs` instead of those of the same names: where the first of those stood, else at the end."""
    names = {name for name, _ in pairs}
    at = next((index for index, (name, _) in enumerate(existing) if name in names), len(existing))
    return [*existing[:at], *pairs, *(pair for pair in existing[at:] if pair[0] not in names)]


def _claim_of(content: Any) -> object:  # noqa: ANN401 - any JSON
    context = content.get("requestContext", content) if isinstance(content, dict) else None
    if not isinstance(context, dict) or set(context) != {"authorizer"}:
        raise ValueError("not the context of an authorizer")
    authorizer = context["authorizer"]
    return _only_claim(authorizer["claims"]) if isinstance(authorizer, dict) and set(authorizer) == {"claims"} else None


def _only_claim(claims: object) -> object:
    """The claim of a tenant, where nothing else is claimed."""
    return claims[TENANT_CLAIM] if isinstance(claims, dict) and set(claims) == {TENANT_CLAIM} else None


def token_part(content: Mapping[str, Any]) -> str:
    """A part of a JWT with this content."""
    return base64url_encode(json.dumps(content, separators=(",", ":")).encode()).decode()


def _channels(
    subject: Subject, medium: Medium, form: Form = Form.PLAIN, /, **spelled: str | tuple[str, ...]
) -> tuple[Channel, ...]:
    keys = {name: (key,) if isinstance(key, str) else key for name, key in spelled.items()}
    return tuple(Channel(name, subject, medium, key, form) for name, key in keys.items())


_TENANT, _ACCOUNT = Subject.TENANT, Subject.ACCOUNT

#: Every channel of a tenant. `query` and `body` carry both spellings that the platform reads; the others one each.
TENANT_CHANNELS = (
    *_channels(_TENANT, Medium.QUERY, query=("tenant_id", "tenantId"), query_tenant_id="tenant_id", query_tenantId="tenantId"),
    *_channels(_TENANT, Medium.QUERY, query_tenant="tenant"),
    *_channels(_TENANT, Medium.QUERY, Form.OWN_FIRST, query_own_first="tenant_id"),
    *_channels(_TENANT, Medium.QUERY, Form.OWN_LAST, query_own_last="tenant_id"),
    *_channels(_TENANT, Medium.QUERY, Form.ARRAY, query_array="tenant_id"),
    *_channels(_TENANT, Medium.HEADER, header="x-tenant-id", header_title_case="X-Tenant-Id", header_upper_case="X-TENANT-ID"),
    *_channels(_TENANT, Medium.HEADER, header_underscores="x_tenant_id", header_camel="X-TenantId", header_short="x-tenant"),
    *_channels(_TENANT, Medium.HEADER, header_plain="tenant-id", header_claim="x-custom-tenant-id"),
    *_channels(_TENANT, Medium.HEADER, Form.OWN_FIRST, header_own_first="x-tenant-id"),
    *_channels(_TENANT, Medium.HEADER, Form.OWN_LAST, header_own_last="x-tenant-id"),
    *_channels(_TENANT, Medium.PROXY_HEADER, oidc_identity="x-amzn-oidc-identity", forwarded_user="x-forwarded-user"),
    *_channels(_TENANT, Medium.PROXY_HEADER, auth_request_user="x-auth-request-user", remote_user="remote-user"),
    *_channels(_TENANT, Medium.PROXY_HEADER, consumer_id="x-consumer-custom-id", authenticated_user="x-authenticated-userid"),
    *_channels(_TENANT, Medium.PROXY_HEADER, client_principal="x-ms-client-principal-id", forwarded_host="x-forwarded-host"),
    *_channels(_TENANT, Medium.PROXY_HEADER, Form.TOKEN, oidc_data="x-amzn-oidc-data"),
    *_channels(
        _TENANT, Medium.PROXY_HEADER, Form.CLAIMS, request_context="x-amzn-request-context", gateway_event="x-apigateway-event"
    ),
    *_channels(_TENANT, Medium.PROXY_HEADER, Form.URL, original_url="x-original-url", rewrite_url="x-rewrite-url"),
    *_channels(_TENANT, Medium.COOKIE, cookie="tenant_id", cookie_tenantId="tenantId", cookie_tenant="tenant"),
    *_channels(_TENANT, Medium.BODY, body=("tenant_id", "tenantId"), body_tenant_id="tenant_id", body_tenantId="tenantId"),
    *_channels(_TENANT, Medium.BODY, body_tenant="tenant", body_claim=TENANT_CLAIM),
    *_channels(_TENANT, Medium.BODY, Form.OWN_FIRST, body_own_first="tenant_id"),
    *_channels(_TENANT, Medium.BODY, Form.OWN_LAST, body_own_last="tenant_id"),
    *_channels(_TENANT, Medium.BODY, Form.ARRAY, body_array="tenant_id"),
    *_channels(_TENANT, Medium.BODY, Form.KEY, body_key="pk"),
    *_channels(_TENANT, Medium.PATH, path="/tenants/{value}{path}", path_end="{path}/{value}"),
)

#: Every channel of an account besides `account_id` of the body, where /replay takes it from.
ACCOUNT_CHANNELS = (
    *_channels(
        _ACCOUNT, Medium.QUERY, account_query="account_id", account_query_accountId="accountId", account_query_short="account"
    ),
    *_channels(_ACCOUNT, Medium.QUERY, Form.OWN_FIRST, account_query_own_first="account_id"),
    *_channels(_ACCOUNT, Medium.QUERY, Form.OWN_LAST, account_query_own_last="account_id"),
    *_channels(_ACCOUNT, Medium.QUERY, Form.ARRAY, account_query_array="account_id"),
    *_channels(_ACCOUNT, Medium.HEADER, account_header="x-account-id", account_header_title_case="X-Account-Id"),
    *_channels(_ACCOUNT, Medium.HEADER, account_header_upper_case="X-ACCOUNT-ID", account_header_underscores="x_account_id"),
    *_channels(_ACCOUNT, Medium.HEADER, account_header_camel="X-AccountId"),
    *_channels(_ACCOUNT, Medium.COOKIE, account_cookie="account_id"),
    *_channels(_ACCOUNT, Medium.BODY, account_body_accountId="accountId", account_body_short="account"),
    *_channels(_ACCOUNT, Medium.BODY, Form.OWN_FIRST, account_body_own_first="account_id"),
    *_channels(_ACCOUNT, Medium.BODY, Form.OWN_LAST, account_body_own_last="account_id"),
    *_channels(_ACCOUNT, Medium.BODY, Form.ARRAY, account_body_array="accountId"),
    *_channels(_ACCOUNT, Medium.PATH, account_path="/accounts/{value}{path}"),
)
CHANNELS = {channel.name: channel for channel in (*TENANT_CHANNELS, *ACCOUNT_CHANNELS)}


def medium_of(channel: Channel | None) -> str:
    """How channels are grouped for pairing: by the part of the request that is read; "nowhere" without one."""
    if channel is None:
        return "nowhere"
    return {Medium.QUERY: "url", Medium.PATH: "url", Medium.BODY: "body"}.get(channel.medium, "headers")
