"""Whether evidence is read back as it was gathered."""

from pathlib import Path
from typing import Any

import pandas as pd

from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import GatheredTable


def assert_kept(gathered: GatheredTable[Any, Any], folder: Path) -> GatheredTable[Any, Any]:
    """What the evidence store gives back; fails unless it is what the store was given."""
    store = EvidenceStore(folder)
    digest = store.write_table("run-1", "a", gathered)
    back = store.read_table("run-1", "a", gathered.table)
    pd.testing.assert_frame_equal(back.frame, gathered.frame)
    assert (back.facts, back.rows, tuple(back.reads)) == (gathered.facts, gathered.rows, tuple(gathered.reads))
    assert (back.observed_at, back.digest) == (gathered.observed_at, digest)
    return back
