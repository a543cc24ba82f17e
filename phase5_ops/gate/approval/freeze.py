"""What a candidate's roles are given to sign: the rows of the gate's decision, as the statement states them. Pure."""

from collections.abc import Mapping

from phase5_ops.gate.attestation.readiness_statement import StatementRow
from phase5_ops.gate.records import Decision, GateInputs


def statement_rows(decision: Decision, inputs: GateInputs, checks: Mapping[str, str]) -> tuple[StatementRow, ...]:
    """The rows of a decision without the sign-offs, which are signatures over the statement.

    Args:
        decision: what the gate decided.
        inputs: what it decided from.
        checks: row id -> check name, of every row that is stated.
    """
    rows = []
    for row in decision.rows:
        if row.row not in checks:
            continue
        result = inputs.results.get(checks[row.row])
        findings = tuple(sorted((f.code, f.subject, f.verdict) for f in result.findings)) if result else ()
        rows.append(
            StatementRow(
                row.row, row.state, row.opens, row.waived, row.blocking, findings, result.observed_at if result else None
            )
        )
    return tuple(rows)
