"""In-toto Statements: the frame of everything that is attested, and what its predicates are made of. Pure.

Each statement is written and read by the models of its module: `readiness_statement.py`, `decision_statement.py`,
`override_statement.py`. It is trusted only after its signatures were verified; reading checks its shape, not its truth. An
unknown field is ignored in a predicate, and refused in the frame.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, TypeAdapter, ValidationError
from pydantic.alias_generators import to_camel

from phase5_ops.gate.attestation.envelopes import MalformedEnvelope, canonical_json, strict_json
from phase5_ops.gate.records import Release
from phase5_ops.text import in_one_line

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"

#: Predicate of a signed order to promote without an open gate; see `override_statement.py`.
OVERRIDE = "urn:phase5-ops:predicate:override:v1"
#: Predicate of what the gate signs once a target took an order; see `promotion_records.py`.
PUBLICATION = "urn:phase5-ops:predicate:publication:v1"

_HEX = re.compile(r"[0-9a-f]{64}")

Read = TypeVar("Read")


def _said(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no text, or an empty one")
    return value


def digest_entry(digest: str) -> dict[str, str]:
    """A digest as attestations write it: `{"sha256": ...}`.

    Raises:
        ValueError: it is not a sha256.
    """
    algorithm, _, value = digest.partition(":")
    if algorithm != "sha256" or not _HEX.fullmatch(value):
        raise ValueError(f"not a sha256 digest: {digest!r}")
    return {"sha256": value}


def _digest_in(entry: object) -> str:
    value = entry.get("sha256") if isinstance(entry, Mapping) and len(entry) == 1 else None
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise ValueError("a digest is missing, or is not a sha256")
    return f"sha256:{value}"


#: A text that is not empty.
Said = Annotated[str, PlainValidator(_said)]
#: `sha256:...`, written as `digest_entry`.
Sha256 = Annotated[str, PlainValidator(_digest_in), PlainSerializer(digest_entry)]


class Attested(BaseModel):
    """Base of a predicate and of its parts, whose names are written in camel case."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    def content(self) -> dict[str, Any]:
        """As it is attested: only the fields that were given."""
        return self.model_dump(by_alias=True, exclude_unset=True)


class _Subject(BaseModel):
    name: Said
    digest: Sha256


class Statement(Attested):
    """An in-toto Statement v1 about exactly one artifact."""

    model_config = ConfigDict(extra="forbid")

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: tuple[_Subject]
    predicate_type: str
    predicate: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the artifact."""
        return self.subject[0].name

    @property
    def digest(self) -> str:
        """`sha256:...` of the artifact."""
        return self.subject[0].digest


def statement_bytes(release: Release, predicate_type: str, predicate: Mapping[str, Any]) -> bytes:
    """The bytes of a statement about a release; equal facts give equal bytes.

    Raises:
        ValueError: its digest is not a sha256.
    """
    subject = {"name": release.name, "digest": digest_entry(release.digest)}
    return canonical_json(
        {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": predicate_type, "predicate": predicate}
    )


def read_statement(payload: bytes) -> Statement:
    """The statement in a payload.

    Raises:
        MalformedEnvelope: it is no in-toto Statement v1 about exactly one artifact.
    """
    try:
        return Statement.model_validate(strict_json(payload), by_name=False)
    except ValidationError as error:
        raise MalformedEnvelope(f"not an in-toto Statement ({STATEMENT_TYPE}) of one artifact: {in_one_line(error)}") from error


def read_as(kind: TypeAdapter[Read], content: object) -> Read:
    """JSON values, read as this kind.

    Raises:
        MalformedEnvelope: they are not of this kind.
    """
    try:
        return kind.validate_python(content, by_name=False)
    except ValidationError as error:
        raise MalformedEnvelope(in_one_line(error)) from error
