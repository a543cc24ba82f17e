"""Files are whole or not there, whatever happens while they are written."""

import stat
from pathlib import Path

import pytest

from phase5_ops.files import write_whole


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path):
    for content in (b"one", b"two"):
        write_whole(tmp_path / "kept", content)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"two"


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_whole(tmp_path / "kept", b"one")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_whole(tmp_path / "kept", b"two")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept").read_bytes() == b"one"


def test_a_secret_is_never_readable_by_others(tmp_path: Path):
    write_whole(tmp_path / "secret", b"one", mode=0o600)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
