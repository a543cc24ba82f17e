"""Whether evidence is read back as it was gathered."""

from pathlib import Path
from typing import Any

import pandas as pd

from phase5_ops.evidence.table import GatheredTable
from phase5_ops.evidence_store import EvidenceStore


def assert_kept(gathered: GatheredTable[Any, Any], folder: Path) -> None:
    """Fails unless the evidence store gives back what it was given."""
    store = EvidenceStore(folder)
    digest = store.write_gathered("run-1", "a", gathered)
    back = store.read_gathered("run-1", "a", gathered.table)
    pd.testing.assert_frame_equal(back.frame, gathered.frame)
    assert (back.facts, back.rows, tuple(back.reads)) == (gathered.facts, gathered.rows, tuple(gathered.reads))
    assert (back.observed_at, back.digest) == (gathered.observed_at, digest)
