"""Makes the archive of what this version writes: `python -m phase5_ops_tests.kept.make NAME`; see `__init__.py`.

A promoted candidate on a healthy sandbox: the evidence of its readiness run, the state table's items, keys.json and the two
envelopes of the promotion. And in `records/` one of each record of the gate (`gate/audit/recorded_period.py`), with its evidence,
keys.json, and the archive that `phase5 audit-export` made of it.
"""

import base64
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

import boto3
import pytest

from phase5_ops.sandbox.aws import kms as moto_kms
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops_tests.gate.audit.recorded_period import exported, record_everything
from phase5_ops_tests.gate.people import Desk
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


def records(name: str) -> None:
    """Writes `records/NAME.tar.xz` into this folder."""
    server = FaultableMotoServer(Faults())
    server.start()
    with tempfile.TemporaryDirectory() as temporary, pytest.MonkeyPatch.context() as patch, own_aws(), moto_kms.installed():
        given = {"AWS_ENDPOINT_URL": server.endpoint, "AWS_REGION": "us-west-2"}
        for variable, value in {**given, "AWS_ACCESS_KEY_ID": "sandbox", "AWS_SECRET_ACCESS_KEY": "sandbox"}.items():
            patch.setenv(variable, value)
        desk = Desk.on(boto3.Session("sandbox", "sandbox", region_name="us-west-2"), Path(temporary) / "state")
        record_everything(desk)
        kept = Path(temporary) / "kept"
        kept.mkdir()
        exported(desk, kept, sign=True)
        shutil.copy(desk.settings.state_dir / "keys.json", kept)
        shutil.copytree(desk.settings.state_dir / "evidence", kept / "evidence")
        items = desk.session.client("dynamodb").scan(TableName=desk.settings.tables.readiness)["Items"]
        (kept / "items.json").write_text(json.dumps(items, indent=1, sort_keys=True, default=_base64))
        with tarfile.open(FOLDER / "records" / f"{name}.tar.xz", "w:xz") as archive:
            archive.add(kept, arcname=".")
    server.stop()


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
    records(*sys.argv[1:])
