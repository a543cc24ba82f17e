"""The packages of constraints.txt: everything that this project installs, with what that brings."""

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from phase5_ops_tests.places import ROOT

CONSTRAINTS = ROOT / "constraints.txt"


def pinned() -> dict[str, str]:
    """Name -> version of every package, as constraints.txt has them."""
    lines = (line.partition("#")[0].strip() for line in CONSTRAINTS.read_text(encoding="utf-8").splitlines())
    wanted = [Requirement(line) for line in lines if line]
    return {canonicalize_name(each.name): next(iter(each.specifier)).version for each in wanted}
