"""The footprint says of each table what was found of its keys, violations on top."""

from phase5_ops.evidence.table import NoFacts
from phase5_ops.sections.isolation.harness.evidence import ISOLATION_HARNESS, AccessKind, Harness, HarnessRow, Result
from phase5_ops.sections.isolation.harness.plot import plot_footprint


def harness(*rows: tuple[AccessKind, str, Result]) -> Harness:
    return ISOLATION_HARNESS.gathered((HarnessRow(kind, table, "key", result, "why") for kind, table, result in rows), NoFacts())


def test_violations_come_first_and_every_number_is_there():
    drawing = plot_footprint(
        harness(
            (AccessKind.WRITE, "ledger", Result.IN_SCOPE),
            (AccessKind.WRITE, "ledger", Result.APPROVED),
            (AccessKind.READ, "tenants", Result.VIOLATION),
            (AccessKind.PROBE, "GET /x", Result.REFUSED),
            (AccessKind.RUN, "cc-native-cache", Result.LISTED),
        )
    )
    assert drawing is not None
    drawn = drawing.svg("footprint")
    assert "1 approved, 1 in scope" in drawn
    assert drawn.index(">tenants read<") < drawn.index(">ledger written<")
    assert ">cross-tenant probes<" in drawn
    assert "cc-native-cache" not in drawn


def test_where_nothing_was_touched_there_is_no_picture():
    assert plot_footprint(harness((AccessKind.RUN, "cc-native-cache", Result.LISTED))) is None
