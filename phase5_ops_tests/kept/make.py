"""Makes the archive of what this version writes: `python -m phase5_ops_tests.kept.make NAME`; see `__init__.py`.

A promoted candidate on a healthy sandbox: the evidence of its readiness run, the state table's items, keys.json and the two
envelopes of the promotion.
"""

import base64
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

from phase5_ops_tests.gate.real_candidate import RELEASE, World, opened_candidate

FOLDER = Path(__file__).parent


def main(name: str) -> None:
    """Writes `NAME.tar.xz` into this folder."""
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch:
        folder = Path(temporary)
        with opened_candidate(folder) as again:
            world = again(patch, folder / "state")
            world.is_promoted_once()
            _gather(world, folder / "kept")
            world.instance.dispose()
        with tarfile.open(FOLDER / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(folder / "kept", arcname=".")


def _gather(world: World, kept: Path) -> None:
    kept.mkdir()
    record = world.state.promotion(RELEASE, 1)
    assert record is not None
    (kept / "readiness.dsse.json").write_text(record.readiness_envelope)
    (kept / "decision.dsse.json").write_text(record.decision_envelope)
    shutil.copy(world.folder / "keys.json", kept / "keys.json")
    shutil.copytree(world.evidence, kept / "evidence")
    (kept / "items.json").write_text(json.dumps(world.items(), indent=1, sort_keys=True, default=_base64))


def _base64(content: bytes) -> str:
    """Binary attributes as DynamoDB's JSON has them."""
    return base64.b64encode(content).decode()


if __name__ == "__main__":
    main(*sys.argv[1:])
