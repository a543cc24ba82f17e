"""A CycloneDX document (SBOM) of what is installed here, made by cyclonedx-bom."""

import subprocess
import sys
from pathlib import Path

from phase5_ops_tests.places import ROOT


def write(file: Path, *, validate: bool = True) -> int:
    """Writes the document, with this project as what everything else belongs to; returns the tool's exit code.

    Args:
        file: where to.
        validate: against CycloneDX's schema, which takes most of the time; an invalid document is not written.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"), "--of", "JSON"]
    command += ["--output-reproducible", "--validate" if validate else "--no-validate", "-o", str(file), sys.executable]
    return subprocess.run(command, check=False).returncode
