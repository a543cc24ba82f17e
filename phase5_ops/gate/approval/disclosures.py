"""What a signer is shown beside the rows: what was not tried, and which settings are looser than the shipped ones. Pure.

What was not tried is derived from what is stored: findings whose code says so (declared with the codes), facts that say so
(declared with the judges), checks that do not block and gave no answer, and settings that leave something out. Looser
(`policy_loosened`): each setting declares which way is stricter (`policy.Stricter`), also one that judges nothing; a test checks
that. A setting that declares nothing is listed wherever it differs, so that a new one is shown. Everything that can change a
verdict is in the policy digest as well.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from phase5_ops.checklist import ALL_CHECKS, Row
from phase5_ops.gate.records import Decision, GateInputs
from phase5_ops.policy import Stricter
from phase5_ops.settings import Settings
from phase5_ops.verdict import FindingCode, FindingCodes, Verdict

_SUBJECTS_SHOWN = 5  # of one code of one row; the row's own findings name them all
_LONGEST_SEEN = 200  # characters


def not_tried(
    inputs: GateInputs, decision: Decision, settings: Settings, *, codes: Collection[str], facts: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    """Every thing that the run did not try, read or judge, one a line, in checklist order; the settings come last.

    Args:
        inputs: what was decided from.
        decision: over these inputs.
        settings: under which it was judged.
        codes: names of the codes that say that something was not tried.
        facts: check -> fact -> what it says was not tried, in words.
    """
    rows = (row for row in ALL_CHECKS if not row.is_sign_off)
    return (
        *(line for row in rows for line in _of_row(row, inputs, decision, codes, facts.get(row.check, {}))),
        *_of_settings(settings),
    )


def _of_row(row: Row, inputs: GateInputs, decision: Decision, codes: Collection[str], facts: Mapping[str, str]) -> Iterator[str]:
    result = inputs.results.get(row.check)
    by_code: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for finding in result.findings if result else ():
        if finding.code in codes:
            by_code[finding.code].append((finding.subject, finding.seen))
    yield from (f"{row.id} {code}: {_listed(found)}" for code, found in by_code.items())
    yield from _of_facts(row, inputs, facts)
    decided = next(each for each in decision.rows if each.row == row.id)
    if not decided.blocking and decided.state not in (Verdict.PASS, Verdict.WARN, Verdict.FAIL):
        yield f"{row.id}: no answer ({decided.state}); the check only shows and does not block"


def _of_facts(row: Row, inputs: GateInputs, words_of: Mapping[str, str]) -> Iterator[str]:
    stored = inputs.bundle.verdicts.get(row.check) if inputs.bundle else None
    facts = stored.entry.get("facts") if stored else None
    for name, words in words_of.items():
        value = facts.get(name) if isinstance(facts, dict) else None
        if value:
            yield f"{row.id}: {words}: {value}" if isinstance(value, str) else f"{row.id}: {value} {words}"


def _listed(found: list[tuple[str, str]]) -> str:
    if len(found) == 1:
        subject, seen = found[0]
        return f"{subject}: {_shortened(seen)}"
    names = [subject for subject, _ in found]
    rest = f" and {len(names) - _SUBJECTS_SHOWN} more" if len(names) > _SUBJECTS_SHOWN else ""
    return f"{', '.join(names[:_SUBJECTS_SHOWN])}{rest}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_SEEN else f"{text[:_LONGEST_SEEN]}..."


def _of_settings(settings: Settings) -> Iterator[str]:
    if not settings.deployed.must_be_candidate:
        yield "whether the platform ran this artifact while it was judged: deployed.must_be_candidate is off"
    if settings.isolation.event_log_group is None:
        yield "4.1: events on the platform's bus: isolation.event_log_group is not set"
    if settings.isolation.iam_template is not None:
        yield f"iam_is_tenant_scoped: the deployed roles; a template was judged: {settings.isolation.iam_template}"


class PolicyCode(FindingCodes):
    """The finding code about the settings that a statement was made with."""

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
    """Which way a setting is stricter, as it declares; None where it declares nothing."""
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
