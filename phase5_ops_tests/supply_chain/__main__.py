"""`python -m phase5_ops_tests.supply_chain licences | sbom | vulnerabilities`. The last two need the extra `audit`."""

import argparse
import sys
from pathlib import Path

from phase5_ops_tests.supply_chain import bill_of_materials, licences, vulnerabilities
from phase5_ops_tests.supply_chain.pins import pinned


def main() -> int:
    """Does one of them; 0, or 1 where something is wrong, which is printed with its remedy."""
    parser = argparse.ArgumentParser(prog="python -m phase5_ops_tests.supply_chain", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("licences", help="check the licence of every pinned package against docs/licences.md")
    command.add_argument("--write", action="store_true", help="write the table of docs/licences.md anew")
    command = commands.add_parser("sbom", help="write a CycloneDX document of this environment, and validate it")
    command.add_argument("file", nargs="?", type=Path, default=Path("sbom.json"), help="default: sbom.json")
    commands.add_parser("vulnerabilities", help="look every pinned version up in PyPI's database of vulnerabilities")
    given = parser.parse_args()
    if given.command == "sbom":
        return bill_of_materials.write(given.file)
    if given.command == "licences" and given.write:
        licences.write()
    problems = licences.problems() if given.command == "licences" else vulnerabilities.look_up(pinned())
    for line in problems:
        print(line, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
