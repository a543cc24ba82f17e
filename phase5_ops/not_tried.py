"""What was not tried in a readiness run, in words, for those who sign it. Pure.

Derived from what is stored: findings whose code says so (declared with the codes), facts that say so (declared with the judges),
checks that only show and have no answer, and settings that leave something out. What switches probes off or loosens a threshold
is said by `loosened.py`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from phase5_ops.checklist import ALL_CHECKS, Row
from phase5_ops.gate.records import Decision, GateInputs
from phase5_ops.settings import Settings
from phase5_ops.verdict import Verdict

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
