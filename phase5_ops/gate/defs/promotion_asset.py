"""The asset `promotion`: one materialization for each release that was promoted. It shows; nothing depends on it.

What was promoted stands in the state table, and what proves it in the envelopes. An event here that nobody can read, or that was
never written, changes neither.
"""

import logging
import shlex
from collections.abc import Sequence

import dagster as dg

from phase5_ops.checklist import SECTIONS
from phase5_ops.clock import iso
from phase5_ops.context import RunContext
from phase5_ops.evidence.run_tags import PROMOTION_ASSET, SIGN_OFF_ASSET
from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.decision_statement import OUTCOMES, DecisionFacts, decision_facts
from phase5_ops.gate.attestation.envelopes import read_envelope
from phase5_ops.gate.attestation.orders import OrderKind
from phase5_ops.gate.attestation.statement import read_statement
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.inputs.promotion_records import DECISION_FILE, OVERRIDE_FILE, READINESS_FILE
from phase5_ops.gate.state.items import Promotion
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.orchestration.shown import LONGEST_LINE, in_lines, in_pieces
from phase5_ops.text import printable

log = logging.getLogger(__name__)

_KEY = "idempotency key"
_RIGHTS = {
    OrderKind.OPEN: "the gate was open",
    OrderKind.ROLLBACK: "a rollback to what was promoted before",
    OrderKind.BREAK_GLASS: "break-glass: two people went past the closed gate",
}


def promotion(names: DagsterNames) -> dg.AssetSpec:
    """The asset of promoted releases."""
    return dg.AssetSpec(
        names.key(PROMOTION_ASSET),
        deps=[names.key(SIGN_OFF_ASSET), names.key(candidates.ASSET)],
        description="Releases that were promoted to production, one partition a release: the target, the digests of the"
        " attestation, and the command that verifies it. Written by promotion_job; what counts is the record in the state table.",
        group_name=names.group(SECTIONS["S"].group),
        kinds={"attestation"},
        partitions_def=dg.DynamicPartitionsDefinition(name=names.releases),
    )


def show_promotion(context: dg.OpExecutionContext, run: RunContext, record: Promotion) -> None:
    """Materializes `promotion` for a release that is promoted, unless that was done before. A failure is logged.

    Args:
        context: of the run that promoted the release, or found it promoted.
        run: the same run.
        record: of the promotion, as it was verified.
    """
    try:
        said = decision_facts(read_statement(read_envelope(record.decision_envelope.encode()).payload))
        names = DagsterNames.of(run.settings)
        key = names.key(PROMOTION_ASSET)
        if not _shown(context.instance, key, said.name, record):
            context.instance.add_dynamic_partitions(names.releases, [said.name])
            context.log_event(
                dg.AssetMaterialization(
                    key,
                    partition=said.name,
                    description=f"{said.name} was promoted at {iso(record.promoted_at)}.",
                    metadata=_metadata(run, said, record),
                )
            )
    except Exception:  # what is promoted stays promoted whether Dagster shows it or not
        log.exception("the promotion recorded under key %s could not be shown in Dagster", record.idempotency_key)


def _metadata(run: RunContext, said: DecisionFacts, record: Promotion) -> dict[str, dg.MetadataValue]:
    """What was promoted and where, what proves it, and how anybody checks that."""
    kind = next(kind for kind, outcome in OUTCOMES.items() if outcome == (said.result, said.levels))
    by_override = kind is not OrderKind.OPEN
    rests_on = OVERRIDE_FILE if by_override else READINESS_FILE
    files = {rests_on: record.readiness_envelope, DECISION_FILE: record.decision_envelope}
    folder = run.store.attestations(record.holder)
    environment = run.settings.environment
    command = ["phase5", "verify", *(str(folder / name) for name in files), "--digest", said.digest]
    command += ["--environment", environment, *(["--accept", kind.value.lower().replace("_", "-")] if by_override else [])]

    def text(content: str) -> dg.MetadataValue:
        return dg.MetadataValue.md(in_lines(printable(content)))

    return {
        "release": text(said.name),
        "artifact": text(said.digest),
        "environment": text(environment),
        "target": text(run.settings.promotion.target),
        "what the target answered": text(record.answer),
        "promoted at": text(iso(record.promoted_at)),
        "promoted by": dg.MetadataValue.dagster_run(record.holder),
        "by which right": text(_RIGHTS[kind]),
        **{f"digest of {name}": text(sha256_of(content.encode())) for name, content in files.items()},
        "attestation": text(str(folder)),
        "verify": dg.MetadataValue.md(f"```\n{_in_shell_lines(command)}\n```"),
        _KEY: text(record.idempotency_key),
    }


def _in_shell_lines(command: Sequence[str]) -> str:
    """The command in lines that a narrow page has room for; pasted into a shell, it is the command.

    A shell takes out a backslash at the end of a line, also within a word that has no quotes.
    """
    lines: list[str] = []
    for word in map(shlex.quote, command):
        pieces = [word] if word.startswith("'") else in_pieces(word)
        if lines and len(pieces) == 1 and len(lines[-1]) + len(word) < LONGEST_LINE:
            lines[-1] += f" {word}"
        else:
            lines += [f" {pieces[0]}" if lines else pieces[0], *pieces[1:]]
    return "\\\n".join(lines)


def _shown(instance: dg.DagsterInstance, asset: dg.AssetKey, name: str, record: Promotion) -> bool:
    wanted = dg.AssetRecordsFilter(asset_key=asset, asset_partitions=[name])
    keys = (record.idempotency_key, in_lines(record.idempotency_key))  # 0.1.0 kept it in one line
    events = instance.fetch_materializations(wanted, limit=10).records
    found = (each.asset_materialization for each in events if each.run_id)  # what somebody reported from outside has no run
    return any(each is not None and _key_of(each) in keys for each in found)


def _key_of(event: dg.AssetMaterialization) -> object:
    found = event.metadata.get(_KEY)
    return None if found is None else found.value
