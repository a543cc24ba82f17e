"""Tars with a member that few writers make: extended headers, links, sparse files, with contents that those cannot have."""

import io
import tarfile
from collections.abc import Mapping

from phase5_ops_tests.fuzz.source import Source

#: Kinds of members; what a reader that believes them reads from their content: names, sizes, holes.
_KINDS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.GNUTYPE_SPARSE,
    tarfile.SYMTYPE,
    tarfile.DIRTYPE,
)
_CONTENTS = (
    b"11 mtime=1\n",
    b"9" * 60_000,  # CVE-2024-6232
    b"9" * 8_000,
    b"22 GNU.sparse.map=1,x\n",
    b"24 GNU.sparse.major=1\n24 GNU.sparse.minor=0\n",
    b"11 size=-1\n",
    b"99 path=a\n",
    b"20 hdrcharset=BINARY\n",
    b"\xff" * 600,
    b"",
)


def odd_tar(source: Source, files: Mapping[str, bytes]) -> bytes:
    """A tar of these files with one odd member before one of them."""
    out, odd_before = io.BytesIO(), source.number(len(files) - 1)
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (name, content) in enumerate(files.items()):
            if number == odd_before:
                member, inside = tarfile.TarInfo("odd"), source.spliced_bytes(source.one_of(_CONTENTS))
                member.type, member.size = source.one_of(_KINDS), len(inside)
                out.write(member.tobuf(tarfile.USTAR_FORMAT) + inside + b"\0" * (-len(inside) % 512))
                tar.offset = out.tell()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()
