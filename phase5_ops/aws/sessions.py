"""Sessions of boto3, set up so that a call costs little and its answer is read strictly.

What botocore works out for each call and comes out the same is kept: descriptions of services, what a client calls itself. An
answer in JSON is read once, and one that is no JSON is refused here, which botocore would take for an empty answer. Items of
DynamoDB, most of what a run reads, have the form in which they come: only binary values in them are converted.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, Self

import boto3
from botocore.config import Config
from botocore.context import get_context
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import create_loader
from botocore.model import ListShape, MapShape, Shape, StructureShape
from botocore.parsers import JSONParser, ResponseParser, ResponseParserFactory
from botocore.session import Session, get_session
from botocore.useragent import UserAgentString
from botocore.utils import parse_timestamp

from phase5_ops.input_files.json_text import json_value
from phase5_ops.settings import AwsAccess, ConfigurationError, ReadingSettings

#: Caches botocore's descriptions of services: each decision and tick makes its own clients, which would otherwise read megabytes
#: of JSON again.
_DESCRIPTIONS = create_loader()


_AS_THEMSELVES = AwsAccess()


def configured_region(access: AwsAccess = _AS_THEMSELVES) -> str | None:
    """The region to read: that of the settings, AWS_REGION, else what boto3 finds (AWS_DEFAULT_REGION, profile)."""
    return access.region or os.environ.get("AWS_REGION") or boto3.Session().region_name


def require_region(access: AwsAccess) -> None:
    """Raises ConfigurationError where neither the settings nor anything of AWS names a region."""
    if configured_region(access) is None:
        raise ConfigurationError("no AWS region: set AWS_REGION (or AWS_PROFILE with a region) to the region of the platform")


class RoleNotAssumed(BotoCoreError):  # type: ignore[misc]
    """STS did not give the credentials of the role, so that the call was not made; `why` is what STS did."""

    fmt = (
        "the role {role} (PHASE5_AWS__ROLE_ARN) could not be assumed: {why}; its trust policy must name the caller and, if"
        " it asks for one, the external id, and the caller needs sts:AssumeRole on it (phase5 iam-policy --for machine)"
    )

    def __init__(self, role: str, why: Exception) -> None:
        super().__init__(role=role, why=why)
        self.why = why


def call_config(reading: ReadingSettings, user_agent: str = "") -> Config:
    """How clients make their calls: within these bounds, with botocore's standard retries."""
    return Config(
        connect_timeout=reading.connect_timeout_seconds,
        read_timeout=reading.read_timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": reading.max_attempts},
        user_agent_extra=user_agent,
    )


def new_session(access: AwsAccess = _AS_THEMSELVES, reading: ReadingSettings | None = None) -> boto3.Session:
    """A session for one reader, without its set-up.

    Where `access` names a role, calls are made with its credentials. They are asked for at the first call, and again a quarter of
    an hour before they expire, so that a session may go on for as long as it likes; asking is bounded by `reading`.
    """
    core = bare_session()
    region = configured_region(access)
    if access.role_arn is not None:
        core._credentials = _Assumed(core, access, region, reading or ReadingSettings()).credentials
    return boto3.Session(botocore_session=core, region_name=region)


def bare_session() -> Session:
    """A session of botocore's; the descriptions of services, which are read from files, are read once for the process."""
    core = get_session()
    core.register_component("data_loader", _DESCRIPTIONS)
    paths = _DESCRIPTIONS.search_paths
    paths[:] = dict.fromkeys(paths)  # each of boto3's sessions adds its own folder once more
    return core


class _Assumed:
    """The credentials of a role, which the caller's own credentials are used to ask for."""

    def __init__(self, core: Any, access: AwsAccess, region: str | None, reading: ReadingSettings) -> None:  # noqa: ANN401
        self._role = str(access.role_arn)
        given = {"RoleSessionName": access.session_name, "ExternalId": access.external_id}
        config = call_config(reading)
        self._fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(core.create_client, region_name=region, config=config),
            source_credentials=core.get_credentials(),
            role_arn=self._role,
            extra_args={name: value for name, value in given.items() if value is not None},
        )
        self.credentials = DeferredRefreshableCredentials(self._fetch, "assume-role")

    def _fetch(self) -> dict[str, Any]:
        """What botocore makes credentials of.

        Raises:
            RoleNotAssumed: STS did not give any.
        """
        try:
            found: dict[str, Any] = self._fetcher.fetch_credentials()
        except (ClientError, BotoCoreError, AttributeError) as error:  # the last where the caller has no credentials at all
            raise RoleNotAssumed(self._role, error) from error
        return found


def set_up(session: boto3.Session) -> boto3.Session:
    """The same session; its clients raise `UnreadableAnswer` where botocore would find nothing in an answer."""
    core = session._session
    core.register_component("user_agent_creator", _UserAgent.from_environment())
    core.register_component("response_parser_factory", _Parsers())
    return session


class UnreadableAnswer(Exception):
    """A successful answer that is not JSON, e.g. a proxy's page; botocore would treat it as an empty answer."""


class _UserAgent(UserAgentString):  # type: ignore[misc]
    """Written once for each set of features that calls use; botocore writes it twice for each call."""

    _written: dict[frozenset[str], str] | None = None  # of a client's own; what the session has may still change

    def with_client_config(self, client_config: Config) -> Self:
        agent: Self = super().with_client_config(client_config)
        agent._written = {}
        return agent

    def to_string(self) -> str:
        if self._written is None:
            return str(super().to_string())
        context = get_context()
        features = frozenset(context.features if context else ())
        if features not in self._written:
            self._written[features] = str(super().to_string())
        return self._written[features]


class _Parsers(ResponseParserFactory):  # type: ignore[misc]
    """Makes a parser for each answer."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=_in_utc)

    def create_parser(self, protocol_name: str) -> ResponseParser:
        return _JsonAnswers(**self._defaults) if protocol_name == "json" else super().create_parser(protocol_name)


def _in_utc(value: Any) -> datetime:  # noqa: ANN401 - what the answer has: seconds since 1970, or a text
    """A time of an answer. botocore's own parser looks up the machine's time zone for each data point of a metric.

    Raises:
        UnreadableAnswer: it is none, or none that a clock can show.
    """
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, UTC)
        parsed: datetime = parse_timestamp(value)
        return parsed.astimezone(UTC)
    except (ValueError, OverflowError, OSError, RuntimeError) as error:
        raise UnreadableAnswer(f"a time of the answer is none: {value!r}") from error


class _JsonAnswers(JSONParser):  # type: ignore[misc]
    """Reads the answers of services that speak JSON; what is not of the kind that the service's model says is unreadable."""

    _content: dict[str, Any] | None = None

    def parse(self, response: Mapping[str, Any], shape: Shape | None) -> Any:  # noqa: ANN401 - as the service answers
        """The answer as botocore gives it.

        Raises:
            UnreadableAnswer: a success that is no JSON object; one of an operation that answers nothing may be empty.
        """
        if response["status_code"] < HTTPStatus.MULTIPLE_CHOICES and not (shape is None and response["body"] in _NOTHING):
            self._content = _object_in(response)
        return super().parse(response, shape)

    def _parse_body_as_json(self, body_contents: bytes) -> Any:  # noqa: ANN401 - any JSON
        return super()._parse_body_as_json(body_contents) if self._content is None else self._content

    def _handle_structure(self, shape: StructureShape, value: Any) -> Any:  # noqa: ANN401 - any JSON
        return super()._handle_structure(shape, value if shape.is_document_type else _of_kind(shape, value, dict))

    def _handle_list(self, shape: ListShape, node: Any) -> list[Any]:  # noqa: ANN401 - any JSON
        if None in (entries := _of_kind(shape, node, list)):
            raise UnreadableAnswer(f"{shape.name} of the answer has an entry that is null")
        parsed: list[Any] = super()._handle_list(shape, entries)
        return parsed

    def _default_handle(self, shape: Shape, value: Any) -> Any:  # noqa: ANN401 - any JSON
        kinds = _SCALARS.get(shape.type_name)
        return value if kinds is None or type(value) in kinds else _of_kind(shape, value, *kinds)

    def _handle_map(self, shape: MapShape, value: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        _of_kind(shape, value, dict)
        if _is_of_attributes(shape.value):
            return {name: None if each is None else self._attribute(shape.value, each) for name, each in value.items()}
        parsed: dict[str, Any] = super()._handle_map(shape, value)
        return parsed

    def _attribute(self, shape: StructureShape, value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - as botocore gives it
        """A value of DynamoDB, such as `{"S": "text"}`; whatever is not of the common kinds is left to botocore."""
        if len(_of_kind(shape, value, dict)) == 1:
            ((kind, bare),) = value.items()
            if bare is not None:
                if kind in _AS_THEY_COME:
                    return value
                if kind == "M":
                    return {"M": self._handle_map(shape.members["M"], bare)}
                if kind == "L":
                    entries = _of_kind(shape.members["L"], bare, list)
                    return {"L": [None if each is None else self._attribute(shape, each) for each in entries]}
        return self._handle_structure(shape, value)


#: Kinds of values of JSON, by the kind that a service's model says; a number that JSON cannot write is a text.
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int, str),
    "double": (float, int, str),
}


def _of_kind(shape: Shape, value: Any, *kinds: type) -> Any:  # noqa: ANN401 - any JSON
    if type(value) not in kinds:
        raise UnreadableAnswer(f"{shape.name} of the answer is no {shape.type_name}, but {type(value).__name__}")
    return value


#: What operations without an output answer: AWS the first, moto the second.
_NOTHING = (b"", b"null")

#: Kinds of values of DynamoDB that botocore converts nothing of.
_AS_THEY_COME = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})


def _is_of_attributes(shape: Shape) -> bool:
    """Whether it is the shape of a value of DynamoDB."""
    return bool(shape.name == "AttributeValue" and shape.type_name == "structure" and shape.members.keys() > _AS_THEY_COME)


def _object_in(response: Mapping[str, Any]) -> dict[str, Any]:
    try:
        content = json_value(response["body"])
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise UnreadableAnswer(f"the answer has HTTP status {response['status_code']} and a body that is not a JSON object")
    return content
