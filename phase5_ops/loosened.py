"""Which settings are looser than the shipped ones: `policy_loosened`, shown to whoever signs. Pure.

Every setting says where it is declared which way is stricter (`policy.Stricter`), those that judge nothing included; a test holds
them to it. What nobody classified is listed wherever it differs, so that a new setting is shown rather than passed over. All that
can change a verdict is in the policy digest as well.
"""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phase5_ops.policy import Stricter
from phase5_ops.settings import Settings
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict


class PolicyCode(FindingCodes):
    """What is said of the settings that a statement was made with."""

    POLICY_LOOSENED = FindingCode(
        Verdict.WARN,
        "A setting is, or may be, looser than the shipped one; the statement that people sign lists it.",
        "Set it back, or sign knowing it.",
    )


def loosened(settings: Settings) -> tuple[str, ...]:
    """Every setting that is, or may be, looser than the shipped one, in words, by name."""
    return tuple(sorted(_of(settings)))


def _of(settings: Settings) -> Iterator[str]:
    for name, value, field in fields_of(settings):
        shipped = field.get_default(call_default_factory=True)
        if name == "tools":
            yield from (f"tools: {tool.name} is {tool.traffic}, shipped steady" for tool in value if tool.traffic != "steady")
        elif value != shipped and not _no_looser(stricter_of(field), value, shipped):
            yield f"{name} is {_shown(value)}, shipped {_shown(shipped)}"


def fields_of(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, FieldInfo]]:
    """Every setting below a model, nested ones with dots: name, value, how it is declared."""
    for field_name, field in type(model).model_fields.items():
        value, name = getattr(model, field_name), prefix + field_name
        if isinstance(value, BaseModel):
            yield from fields_of(value, f"{name}.")
        else:
            yield name, value, field


def stricter_of(field: FieldInfo) -> Stricter | None:
    """Which way of a setting is stricter, as it is declared; None where nobody said so."""
    return next((each for each in field.metadata if isinstance(each, Stricter)), None)


def _no_looser(stricter: Stricter | None, value: Any, shipped: Any) -> bool:  # noqa: ANN401 - of any setting
    if stricter in (None, Stricter.NEITHER, Stricter.JUDGES_NOTHING):
        return stricter is Stricter.JUDGES_NOTHING
    if isinstance(value, tuple) and isinstance(shipped, tuple):
        less, more = (value, shipped) if stricter is Stricter.LESS else (shipped, value)
        return all(entry in more for entry in less)
    if isinstance(value, (int, float)) and isinstance(shipped, (int, float)):
        return value < shipped if stricter is Stricter.LESS else value > shipped
    return stricter is Stricter.MORE and shipped is None


def _shown(value: Any) -> str:  # noqa: ANN401
    if isinstance(value, BaseModel):
        return str(value.model_dump(mode="json"))
    if isinstance(value, tuple):
        return "[" + ", ".join(_shown(each) for each in value) + "]"
    return str(value)
