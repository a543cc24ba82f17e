"""The sandbox's Cognito user pool: two clients, a user for each test tenant, and a token that has expired.

moto issues and signs the tokens. What differs from Cognito and stays so: one signing key for all pools, named `dummy`, served at
`{endpoint}/{pool id}/.well-known/jwks.json`, also for a pool that does not exist. Token times are wall clock.
"""

import json
import secrets
from collections.abc import Mapping
from typing import Any

import jwt
from moto.cognitoidp.models import cognitoidp_backends
from moto.cognitoidp.responses import CognitoIdpJsonWebKeyResponse

from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.aws.inside import InsideAws
from phase5_ops.sandbox.state.probe_tenants import FURTHER_USERS, PROBE_TENANTS, ProbeTenant

POOL_NAME = "cc-native-users"
_FLOWS = ["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
_CUSTOM = ("tenant_id", "account_ids")
_EXPIRED_AGO = 2 * 3600


class UserPool:
    """A pool in a running sandbox.

    Attributes:
        id: the pool's id.
        client_id: the platform's web client.
        other_client_id: another client of the same pool, whose tokens the platform should not take.
        passwords: of the test tenants' and the further users, by user name.
    """

    def __init__(self, aws: InsideAws, region: str) -> None:
        self._cognito, self._region = aws.client("cognito-idp"), region
        self.id: str = self._cognito.create_user_pool(
            PoolName=POOL_NAME, Schema=[{"Name": name, "AttributeDataType": "String", "Mutable": True} for name in _CUSTOM]
        )["UserPool"]["Id"]
        self.client_id = self._client("cc-native-web")
        self.other_client_id = self._client("cc-native-reporting")
        self.passwords: dict[str, str] = {}

    def _client(self, name: str) -> str:
        attributes = ["email", *(f"custom:{custom}" for custom in _CUSTOM)]
        answer = self._cognito.create_user_pool_client(
            UserPoolId=self.id, ClientName=name, ExplicitAuthFlows=_FLOWS, ReadAttributes=attributes
        )
        client_id: str = answer["UserPoolClient"]["ClientId"]
        return client_id

    def add_probe_users(self) -> None:
        """Adds the user of each test tenant and the further ones, each with a random password."""
        for user in (*PROBE_TENANTS, *FURTHER_USERS):
            name, password = user.username, f"Aa1!{secrets.token_urlsafe(18)}"
            given = [{"Name": key, "Value": value} for key, value in {"email": user.email, **user.claims}.items()]
            self._cognito.admin_create_user(UserPoolId=self.id, Username=name, UserAttributes=given, MessageAction="SUPPRESS")
            self._cognito.admin_set_user_password(UserPoolId=self.id, Username=name, Password=password, Permanent=True)
            self.passwords[name] = password

    @property
    def exports(self) -> dict[str, str]:
        """The settings that name the probe users."""
        found: dict[str, str] = {}
        for tenant in PROBE_TENANTS:
            user = f"PHASE5_PROBE_USERS__{tenant.letter}__"
            found |= {f"{user}TENANT_ID": tenant.tenant_id, f"{user}USERNAME": tenant.username}
            found[f"{user}PASSWORD"] = self.passwords[tenant.username]
        for further in FURTHER_USERS:
            user = f"PHASE5_PROBE_USERS__{further.setting}__"
            found |= {f"{user}USERNAME": further.username, f"{user}PASSWORD": self.passwords[further.username]}
        return found

    @property
    def issuer(self) -> str:
        """What the claim `iss` of its tokens says."""
        return f"https://cognito-idp.{self._region}.amazonaws.com/{self.id}"

    @property
    def keys(self) -> dict[str, Any]:
        """The pool's key set, as the endpoint serves it."""
        status, _, body = CognitoIdpJsonWebKeyResponse.serve_json_web_key()
        found: dict[str, Any] = json.loads(body) if status == 200 else {"keys": []}  # noqa: PLR2004 - HTTP's own
        return found

    def tokens(self, tenant: ProbeTenant, *, client_id: str | None = None) -> Mapping[str, str]:
        """Signs a test tenant's user in: `IdToken`, `AccessToken`, `RefreshToken`."""
        answer = self._cognito.admin_initiate_auth(
            UserPoolId=self.id,
            ClientId=client_id or self.client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": tenant.username, "PASSWORD": self.passwords[tenant.username]},
        )
        result: dict[str, str] = answer["AuthenticationResult"]
        return result

    def expired_token(self, tenant: ProbeTenant) -> str:
        """An id token of a test tenant's user that was issued two hours ago, for one; signed with the pool's key."""
        fresh = self.tokens(tenant)["IdToken"]
        header = jwt.get_unverified_header(fresh)
        claims = jwt.decode(fresh, options={"verify_signature": False})
        claims |= {name: claims[name] - _EXPIRED_AGO for name in ("iat", "auth_time", "exp")}
        pool = cognitoidp_backends[ACCOUNT][self._region].user_pools[self.id]
        return jwt.encode(claims, pool.json_web_key.as_pem(private=True), algorithm="RS256", headers={"kid": header["kid"]})

    def attributes_of(self, username: str) -> dict[str, str]:
        """The attributes of a user; empty for one that the pool does not have."""
        try:
            answer = self._cognito.admin_get_user(UserPoolId=self.id, Username=username)
        except self._cognito.exceptions.UserNotFoundException:
            return {}
        return {attribute["Name"]: attribute["Value"] for attribute in answer["UserAttributes"]}
