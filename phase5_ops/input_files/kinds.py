"""What a file is, by its bytes: packings, encodings, and what is neither text nor unpacked here. Pure."""

import codecs
import re
import zlib

#: At most this share of a file may be bytes that are no UTF-8; beyond it the file is another encoding, or no text.
MOST_UNDECODABLE = 0.05

#: Packings that are one stream, by how they begin.
PACKINGS = {
    b"\x1f\x8b": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    **dict.fromkeys((bytes((first,)) + b"\x2a\x4d\x18" for first in range(0x50, 0x60)), "zstd"),  # a frame that is skipped
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
}
#: How packed data begins as base64: gzip, zstd, bzip2, xz, zip, and a subscription's envelope.
BEGINNINGS_IN_BASE64 = (b"H4sI", b"KLUv", b"Qlpo", b"/Td6", b"UEsD", b"eyJtZXNzYWdl")
_ZLIB_MAGIC = (b"x\x01", b"x\x5e", b"x\x9c", b"x\xda")
#: What begins like this is no text and is not unpacked here.
_FOREIGN = {
    b"\xff\x06\x00\x00sNaPpY": "Snappy frames",
    b"\x82SNAPPY\x00": "Snappy of Java",
    b"\x04\x22\x4d\x18": "LZ4",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"LZIP": "lzip",
    b"\x89LZO": "lzop",
    b"\x1f\x9d": "compress (.Z)",
    b"\x1f\xa0": "compress (.Z)",
    **dict.fromkeys(_ZLIB_MAGIC, "zlib"),
    b"PAR1": "Parquet",
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"ARROW1": "Arrow",
    b"\xe0\x01\x00\xea": "Amazon Ion (binary)",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF-": "PDF",
    b"\x7fELF": "a program (ELF)",
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"Salted__": "an encrypted file (OpenSSL)",
    b"age-encryption.org/": "an encrypted file (age)",
    b"-----BEGIN PGP MESSAGE": "an encrypted file (PGP)",
}
_TEXT_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


LONGEST_NARROW = 64  # bytes: at most 32 wide characters, some of which would hold a byte that is not printable ASCII
_NARROW = re.compile(rb"[\t\n\r -~]{%d}" % LONGEST_NARROW)

#: What no text holds: bytes that are no UTF-8 (as `surrogateescape` has them) and control characters.
_NO_TEXT = re.compile("[\udc80-\udcff\x01-\x07\x0e-\x1a\x1c-\x1f\x7f]")


def foreign(head: bytes) -> str | None:
    """What a file is that is neither text nor unpacked here; None for everything else."""
    for magic, what in _FOREIGN.items():
        if head.startswith(magic) and not (magic in _ZLIB_MAGIC and not _is_zlib(head)):
            return what
    return "Snappy" if _is_snappy(head) or _is_hadoop_snappy(head) else None


def _is_zlib(head: bytes) -> bool:
    """Whether a zlib stream begins here; text may begin with its two bytes too."""
    try:
        return bool(zlib.decompressobj().decompress(head, 1))
    except zlib.error:
        return False


def _is_snappy(block: bytes) -> bool:
    """A Snappy block: its length once unpacked as a varint, then a literal; and not the beginning of any text."""
    length, shift = 0, 0
    for at, byte in enumerate(block[:5]):
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the last byte of a varint
            literal = block[at + 1 : at + 2]
            return length > 0 and literal != b"" and literal[0] & 3 == 0 and not _begins_text(block[: at + 2])
    return False


def _begins_text(head: bytes) -> bool:
    try:
        return not _NO_TEXT.search(codecs.getincrementaldecoder("utf-8")().decode(head))
    except UnicodeDecodeError:
        return False


def _is_hadoop_snappy(head: bytes) -> bool:
    """Two big-endian lengths, unpacked and packed, and then a Snappy block."""
    whole, packed = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:8], "big")
    return 0 < packed <= whole + whole // 6 + 32 and head[:1] < b"\x20" and _is_snappy(head[8:])


def wide_encoding(head: bytes) -> str | None:
    """The encoding of text whose characters take two or four bytes, by its byte order mark or by its zeros."""
    for mark, encoding in _TEXT_BOMS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    if pairs < 8:  # noqa: PLR2004 - too little to tell
        return None
    low, high = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if high > 0.8 * pairs and low < 0.1 * pairs:  # Latin text
        return "utf-16-le"
    return "utf-16-be" if low > 0.8 * pairs and high < 0.1 * pairs else None


def is_narrow(raw: bytes) -> bool:
    """Whether a part of these bytes, which should be characters of two or four bytes, has one byte per character."""
    return _NARROW.search(raw) is not None


WINDOW, _MOST_IN_WINDOW = 32, 11  # characters, and how many of them may be no text


def _as_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


_PACKED = {
    b"\x1f\x8b\x08": "gzip",
    b"BZh91AY&SY": "bzip2",
    b"PK\x03\x04": "zip",
    **PACKINGS,
    **_FOREIGN,
}
#: Those of them that no text holds.
_WITHIN = {magic: what for magic, what in _PACKED.items() if len(magic) > 2 and _NO_TEXT.search(_as_text(magic))}  # noqa: PLR2004


def binary_part(raw: bytes) -> str:
    """What the part of this text that is no text looks like; "" if there is none. Single odd bytes do not count."""
    packing = next((what for magic, what in _WITHIN.items() if magic in raw), "")
    at = [match.start() for match in _NO_TEXT.finditer(_as_text(raw))]
    crowded = any(last - first < WINDOW for first, last in zip(at, at[_MOST_IN_WINDOW:], strict=False))
    return f"what looks like {packing or 'binary data or another encoding'}" if packing or crowded else ""
