"""Known vulnerabilities of the pinned versions, looked up by pip-audit; where it cannot look, that is said, and no more."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_SECONDS = 900


class NotReachable(Exception):
    """The database did not answer; the message says what the tool said."""


def look_up(pins: Mapping[str, str]) -> list[str]:
    """What is wrong, a line each with the remedy; nothing where the database cannot be asked, which is printed as `skipped: ...`.

    One package is asked about first: the tool takes a database that does not answer for one that knows nothing.
    """
    first = dict([next(iter(sorted(pins.items())))])
    try:
        if any("skip_reason" in each for each in _audited(first)):
            raise NotReachable(f"it does not know {next(iter(first))}, which is on PyPI")  # noqa: TRY301 - as the tool's own failure
        found = {str(each["name"]).lower().replace("_", "-").replace(".", "-"): each for each in _audited(pins)}
    except NotReachable as error:
        print(f"skipped: known vulnerabilities were not looked up: PyPI's database is not reachable ({error})", flush=True)
        return []
    lines = [
        f"{name}=={version}: it was not looked up: {_why(found.get(name))}; look at it by hand"
        for name, version in pins.items()
        if "vulns" not in found.get(name, {})
    ]
    for name, version in pins.items():
        for each in found.get(name, {}).get("vulns", ()):
            fixed = (
                ", ".join(each.get("fix_versions") or ())
                or "no version yet: leave it out, or say in SECURITY.md why it does not matter"
            )
            lines.append(f"{name}=={version}: {each['id']}; fixed in {fixed}; raise it in constraints.txt (pyproject.toml)")
    if not lines:
        print(f"no known vulnerability in {len(pins)} pinned packages", flush=True)
    return lines


def _why(found: Mapping[str, Any] | None) -> str:
    return str((found or {}).get("skip_reason", "the tool said nothing of it"))


def _audited(pins: Mapping[str, str]) -> list[dict[str, Any]]:
    """What pip-audit says of each package.

    Raises:
        NotReachable: nothing.
    """
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "requirements.txt"
        wanted.write_text("".join(f"{name}=={version}\n" for name, version in pins.items()), encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "pip_audit",
            "--requirement",
            str(wanted),
            "--no-deps",
            "--disable-pip",
            "--format",
            "json",
        ]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            found: list[dict[str, Any]] = json.loads(ended.stdout)["dependencies"]
        except subprocess.TimeoutExpired as error:
            raise NotReachable(f"no answer within {_SECONDS} s") from error
        except (ValueError, KeyError, TypeError) as error:
            last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise NotReachable(f"pip-audit ended with {ended.returncode}: {last[:200]}") from error
        return found
