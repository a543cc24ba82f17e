"""Under which circumstances figures are measured: kind of machine, system, commit, versions; no name of a machine or a person."""

import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks.figure import Missing, program
from benchmarks.results import Circumstances, Machine

ROOT = Path(__file__).parent.parent
#: The packages whose version can matter to a figure.
_PACKAGES = ("boto3", "dagster", "duckdb", "matplotlib", "moto", "numpy", "pandas", "pyarrow", "pydantic")


def circumstances(before: Path | None) -> Circumstances:
    """Those of now; `before` is the other checkout that is measured too."""
    return Circumstances(
        when=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=_machine(),
        commit=_commit(ROOT),
        before=None if before is None else _commit(before),
        versions=_versions(),
    )


def _machine() -> Machine:
    cpuinfo = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        processor=name[1].strip() if name else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / 1024**3),
        system=f"Linux {platform.release().split('-')[0]}, {_distribution()}",
    )


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return "unknown distribution"


def _commit(tree: Path) -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", str(tree), *arguments], capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "phase5_ops", "benchmarks/*.py", "benchmarks/figures")
    return git("rev-parse", "--short=10", "HEAD") + ("+" if changed else "")


def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    try:
        said = subprocess.run([program("rg", ""), "--version"], capture_output=True, text=True, check=True).stdout
        found["ripgrep"] = said.split()[1]
    except Missing:
        found["ripgrep"] = "not installed"
    return found
