"""Dagster's webserver over HTTP: posts a candidate's registration, and succeeds only once it has read it back.

Dagster's endpoint for external assets answers 200 to whatever it could store, a mistyped asset included, and a proxy may answer
in its place. So the asset is looked up first, and the event afterwards, by GraphQL; a random text made for this request tells its
event from all others. The instance may have several environments, each with an asset of its own: where none says that it is the
one asked for, nothing is posted. What is read here says that a registration arrived, never what became of it: the state table
says that, since Dagster's records can be forged. Neither a Dagster instance nor the dagster package is needed.
"""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.probing.client import HttpClient
from phase5_ops.probing.redact import Redactor
from phase5_ops.probing.request import JSON, Problem, Request

_TIMEOUT_SECONDS = 20.0  # of one of at most five exchanges
_SHOWN = 200
_LOOKS = (1, 5)  # how many of the release's newest events are read: ours alone, then also later ones
_POST = "/report_asset_materialization/"
_ABOUT = "metadataEntries { label ... on TextMetadataEntry { text } }"
_QUERY = f"""
query($asset: AssetKeyInput!) {{
  assetNodeOrError(assetKey: $asset) {{ __typename ... on AssetNode {{ isExecutable partitionDefinition {{ name }} {_ABOUT} }} }}
}}"""
_EVERY_QUERY = "{ assetNodes { assetKey { path } } }"
_EVENTS_QUERY = """
query($asset: AssetKeyInput!, $release: String!, $limit: Int!) {
  assetNodeOrError(assetKey: $asset) { __typename ... on AssetNode {
    assetMaterializations(partitions: [$release], limit: $limit) {
      partition metadataEntries { label ... on TextMetadataEntry { text } }
    }
  } }
}"""

_WRONG_ADDRESS = "is this the address of Dagster's webserver, with its path prefix if it has one?"
_AGAIN = "repeat the command: the same release and digest is the same candidate"
_REMEDIES = {
    Problem.DOWN: "is the webserver running, and does a network path lead there?",
    Problem.TIMEOUT: "try again, or look at the webserver's load and log",
    Problem.TLS: "SSL_CERT_FILE names the certificates of a private authority",
    Problem.REDIRECT: "give the address that it leads to; a login page cannot be passed",
    Problem.HTML: _WRONG_ADDRESS,
    Problem.TOO_LARGE: _WRONG_ADDRESS,
    Problem.SERVER_ERROR: "look at the webserver's log",
    Problem.THROTTLED: "try again later",
}
_STATUS_REMEDIES: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "the webserver is read-only, or asks for a login; give one that takes events from here",
    HTTPStatus.FORBIDDEN: "the webserver, or what stands before it, does not let you in",
    HTTPStatus.NOT_FOUND: _WRONG_ADDRESS,
    HTTPStatus.METHOD_NOT_ALLOWED: _WRONG_ADDRESS,
}


class WebserverError(Exception):
    """A registration did not arrive, or it is not known whether it did; the message names call, address and remedy."""


class DagsterWebserver:
    """A running webserver of Dagster, by its address, for the candidates of one environment."""

    def __init__(self, url: str, environment: str, *, timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        self._url = url.rstrip("/")
        self._environment = environment
        self._client = HttpClient(
            self._url,
            timeout_seconds=timeout_seconds,
            user_agent="phase5-ops",
            redactor=Redactor(),
            shown_body=None,
            plain_http=True,
        )

    def post(self, release: str, metadata: Mapping[str, str]) -> None:
        """Posts an event of the candidates' asset, and reads it back.

        Args:
            release: its partition; a valid name.
            metadata: as `registration.py` reads it.

        Raises:
            WebserverError: the environment's asset is not there, the post was refused, or the event cannot be found afterwards.
        """
        asset = self._find_asset()
        call = _POST + "/".join(asset)
        sent = {**metadata, candidates.REQUEST: uuid4().hex}
        try:
            self._json(Request("POST", call, body={"partition": release, "metadata": sent}))
            found = any(self._holds(asset, release, sent, limit) for limit in _LOOKS)
        except WebserverError as error:
            raise WebserverError(f"{error}; it is not known whether {release} was registered: {_AGAIN}") from error
        if not found:
            raise self._error(f"POST {call}", f"answered 200, but the event of {release} is not there afterwards", _AGAIN)

    def _find_asset(self) -> list[str]:
        """The path of the asset of the environment's candidates.

        Raises:
            WebserverError: there is none that is external, has the environment's releases as partitions, and is not another's.
        """
        others: list[str] = []
        for names in (DagsterNames(self._environment), DagsterNames()):
            path = names.path(candidates.ASSET)
            node = self._asset(path, _QUERY)
            if node is None:
                continue
            whose, partitions = self._environment_of(node), node.get("partitionDefinition")
            if whose not in (None, self._environment):  # a version that did not say so had one environment
                others.append(whose)
            elif node.get("isExecutable") is not False:
                raise self._refusal("it is no external asset")
            elif not isinstance(partitions, dict) or partitions.get("name") != names.releases:
                raise self._refusal(f"its partitions are not {names.releases}")
            else:
                return path
        if served := sorted({*others, *self._served()} - {self._environment}):
            raise self._refusal(f"this Dagster serves {', '.join(served)}, and not {self._environment}")
        raise self._refusal("there is no such asset")

    def _served(self) -> list[str]:
        """The environments beside others that have an asset of candidates here, by its key; one that is alone has a plain key."""
        data = self._json(Request("POST", "/graphql", body={"query": _EVERY_QUERY})).get("data")
        nodes = data.get("assetNodes") if isinstance(data, dict) else None
        if not isinstance(nodes, list):
            raise self._error("POST /graphql", "JSON of another shape", _WRONG_ADDRESS)
        try:
            paths = [list(node["assetKey"]["path"]) for node in nodes]
        except (KeyError, TypeError) as error:
            raise self._error("POST /graphql", "JSON of another shape", _WRONG_ADDRESS) from error
        return [str(path[0]) for path in paths if path[1:] == [candidates.ASSET]]

    def _environment_of(self, node: Mapping[str, Any]) -> str | None:
        """Whose candidates the asset says it has; None where it says nothing."""
        try:
            said = {entry["label"]: entry.get("text") for entry in node.get("metadataEntries") or ()}
        except (AttributeError, KeyError, TypeError) as error:
            raise self._error("POST /graphql", "JSON of another shape", _WRONG_ADDRESS) from error
        found = said.get(candidates.ENVIRONMENT)
        return found if isinstance(found, str) else None

    def _holds(self, asset: Sequence[str], release: str, sent: Mapping[str, str], limit: int) -> bool:
        """Whether the event is among the newest ones of the release, with all that was sent."""
        node = self._asset(asset, _EVENTS_QUERY, release=release, limit=limit)
        try:
            return any(
                event["partition"] == release
                and sent.items() <= {entry["label"]: entry.get("text") for entry in event["metadataEntries"]}.items()
                for event in (node or {}).get("assetMaterializations", ())
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise self._error("POST /graphql", "JSON of another shape", _WRONG_ADDRESS) from error

    def _asset(self, asset: Sequence[str], query: str, **variables: object) -> dict[str, Any] | None:
        """What a query says of an asset; None where there is none.

        Raises:
            WebserverError: the answer says neither.
        """
        variables["asset"] = {"path": list(asset)}
        data = self._json(Request("POST", "/graphql", body={"query": query, "variables": variables})).get("data")
        node = data.get("assetNodeOrError") if isinstance(data, dict) else None
        kind = node.get("__typename") if isinstance(node, dict) else None
        if isinstance(node, dict) and kind == "AssetNode":
            return node
        if kind == "AssetNotFoundError":
            return None
        raise self._error("POST /graphql", "JSON of another shape", _WRONG_ADDRESS)

    def _json(self, request: Request) -> dict[str, Any]:
        """The JSON object of a 200 answer; raises WebserverError for any other."""
        # Dagster takes this content type to the letter: a charset behind it is a 400
        request = Request(request.method, request.path, headers={"Content-Type": JSON}, body=request.body)
        answer, call = self._client.send(request), f"{request.method} {request.path}"
        if answer.problem is not None:
            raise self._error(call, answer.detail, _REMEDIES[answer.problem])
        if answer.status != HTTPStatus.OK:
            remedy = _STATUS_REMEDIES.get(answer.status or 0, "look at the webserver's log and version")
            raise self._error(call, f"HTTP {answer.status}: {answer.body}", remedy)
        try:
            content = json.loads(answer.body)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict):
            raise self._error(call, f"HTTP 200 with what is no JSON object: {answer.body}", _WRONG_ADDRESS)
        return content

    def _refusal(self, what: str) -> WebserverError:
        """The error where nothing was posted, since the asset is not the one that is meant."""
        remedy = "nothing was posted: is this the Dagster of phase5_ops, and is its code location loaded?"
        return self._error(f"asset {candidates.ASSET}", what, remedy)

    def _error(self, call: str, what: str, remedy: str) -> WebserverError:
        shown = "".join(c if c.isprintable() else " " for c in what[:_SHOWN]).strip()
        return WebserverError(f"{call} at {self._url}: {shown}; {remedy}")
