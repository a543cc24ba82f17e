"""`phase5 verify ARCHIVE`: the tar of an auditor's archive, its manifest, and every record in it."""

import gzip
import io
import json
import tarfile
from base64 import b64decode, b64encode
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from phase5_ops.files import sha256_of
from phase5_ops.gate.attestation.keys import KeySet, parse_keys
from phase5_ops.gate.audit.archive import NoArchive, read_archive
from phase5_ops.gate.audit.verification import MANIFEST_FILE, SIGNED_MANIFEST, verify_archive
from phase5_ops_tests import kept
from phase5_ops_tests.fuzz.odd_tar import odd_tar
from phase5_ops_tests.fuzz.source import Source

READS = "`phase5 verify ARCHIVE`: its tar, manifest, keys and records (`gate/audit/archive`, `gate/audit/verification`)"
MALFORMED = "`NoArchive` that says why, or an item that is NOT VERIFIED or missing; no changed byte verifies"

_KEPT = Path(kept.__file__).parent / "records" / "0.1.0.tar.xz"
PIECES = ("{", "}", "[", "]", '"', ":", ",", "null", "NaN", "1e999", "[" * 2000, "\\ud800", '{"a":' * 950)
#: An envelope may be written otherwise; without it a manifest says what its writer likes, and is shown as not signed.
_UNSEEN = (MANIFEST_FILE, SIGNED_MANIFEST)


@cache
def _archive() -> tuple[dict[str, bytes], KeySet]:
    """The files of an archive that the gate signed, and the keys that were given out."""
    with tarfile.open(_KEPT) as tar:
        packed, keys = (_content(tar, f"./{name}") for name in ("audit.tar.gz", "keys.json"))
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return {member.name: _content(tar, member.name) for member in tar}, parse_keys(keys)


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file is not None
    return file.read()


def fuzz(data: bytes) -> None:
    """Verifies an archive with one altered file, repacked with a manifest that is right for it, or with altered bytes."""
    source = Source(data)
    files, keys = _archive()
    changed = dict(files)
    how = source.number(3)
    if how < 2:
        name = source.one_of(sorted(name for name in files if name.endswith(".json")))
        changed[name] = _altered(source, files[name])
        if name == SIGNED_MANIFEST and source.chance(2):
            changed[MANIFEST_FILE] = _signed_over(changed[name])
        if source.chance(4):
            changed[source.one_of(("runs/", "releases/", "overrides/x/", "not-understood/")) + "a.json"] = changed.pop(name)
        if source.chance(2) and name != MANIFEST_FILE:
            changed[MANIFEST_FILE] = _manifest_of(changed)
    content = odd_tar(source, changed) if source.chance(6) else _packed(changed)
    content = source.spliced_bytes(content) if how == 2 else content
    packed = gzip.compress(content, 1, mtime=0)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.tar.gz"
        path.write_bytes(source.spliced_bytes(packed) if how == 3 else packed)
        try:
            archive = read_archive(path)
        except NoArchive as error:
            assert data, f"the sound archive is refused: {error}"
            assert str(error), "does not say why"
            return
    found = verify_archive(archive, keys)
    said = "\n".join(found.lines())
    said.encode()
    assert data or found.ok, f"the sound archive does not verify: {said}"
    read = {name: content for name, content in archive.files.items() if name not in _UNSEEN}
    assert not found.ok or read.items() <= files.items(), "an altered archive verifies"


def _altered(source: Source, content: bytes) -> bytes:
    """A record with changes: in the envelope, or in what its signatures are over."""
    if not source.left:
        return content
    try:
        said = json.loads(content)
    except ValueError:
        return source.spliced_bytes(content)
    if isinstance(said, dict) and isinstance(said.get("payload"), str) and source.chance(2):
        inner = json.loads(b64decode(said["payload"]))
        text = source.spliced(source.json_text(source.changed(inner)), PIECES)
        said["payload"] = b64encode(text.encode("utf-8", "surrogatepass")).decode()
        return json.dumps(said).encode()
    return source.spliced(source.json_text(source.changed(said)), PIECES).encode("utf-8", "surrogatepass")


def _signed_over(envelope: bytes) -> bytes:
    try:
        return b64decode(json.loads(envelope)["payload"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return b""


def _manifest_of(files: dict[str, bytes]) -> bytes:
    said = json.loads(_archive()[0][MANIFEST_FILE])
    said["files"] = {name: sha256_of(content) for name, content in files.items() if not name.startswith("manifest.")}
    return json.dumps(said).encode()


def _packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
