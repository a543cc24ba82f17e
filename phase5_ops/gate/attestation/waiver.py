"""How a waiver is written and read: the bytes that are signed, and the fields that statements and reports show of it. Pure."""

from dataclasses import fields
from typing import Any

from pydantic import TypeAdapter

from phase5_ops.gate.attestation.envelopes import canonical_json
from phase5_ops.gate.records import Waiver
from phase5_ops.input_files.json_text import json_value

_WAIVER = TypeAdapter(Waiver)
_FIELDS = frozenset(each.name for each in fields(Waiver)) - {"signed_by", "unsigned"}


def waiver_fields(waiver: Waiver, *names: str) -> dict[str, Any]:
    """These fields of a waiver as JSON values; all of them where none is named."""
    content: dict[str, Any] = _WAIVER.dump_python(waiver, include=set(names) or None)
    return content


def waiver_payload(waiver: Waiver) -> bytes:
    """The signed bytes of a waiver: everything but who signed it, which the key tells."""
    content = waiver_fields(waiver)
    left_out = {"signed_by", "unsigned"} | (set() if waiver.environment else {"environment"})
    return canonical_json({name: value for name, value in content.items() if name not in left_out})


def waiver_of(payload: str) -> Waiver:
    """The waiver in a payload, not yet known to be signed by anybody.

    Raises:
        ValueError: it is not one.
    """
    try:
        said = dict(json_value(payload))
        waiver: Waiver = _WAIVER.validate_python({**said, "signed_by": None, "unsigned": ""})
    except (TypeError, ValueError) as error:
        raise ValueError(f"not a waiver: {error}") from error
    if unknown := sorted(said.keys() - _FIELDS):  # what a later version added may limit what the rest of it excuses
        raise ValueError(f"not a waiver of a version that this phase5 knows, it also says {', '.join(unknown)}: update phase5")
    return waiver
