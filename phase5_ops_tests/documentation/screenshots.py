"""Takes the pictures of docs/images: `python -m phase5_ops_tests.documentation.screenshots [FOLDER]`.

Starts the embedded platform and `phase5 ui` on it in a folder of its own, brings a release to production as people would, and has
headless Chromium (CHROMIUM names it; default: the first of `chromium`, `chromium-browser`, `google-chrome` on the PATH) take a
picture of each page. Takes some minutes; nothing leaves the machine. No test needs it.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from phase5_ops.checklist import ROLES
from phase5_ops.gate.records import Release
from phase5_ops.gate.state.items import Fate
from phase5_ops_tests.conftest import clean
from phase5_ops_tests.gate.serving import Serving, serving, until

FAULT = "breaker-open-under-traffic"  # a failing row with a picture, for the run that is shown
RELEASE = Release("2026.11.3", f"sha256:{'a' * 64}", "sandbox")
PATIENCE = 900  # seconds; each step takes some ten on an idle machine


@dataclass(frozen=True)
class Page:
    """A page of Dagster's UI (`path` below its address), as a picture of that size."""

    name: str
    path: str
    height: int = 900
    width: int = 1440


#: Taken after a run on a platform with a fault.
OF_A_FAULT = (
    Page("readiness", "assets/readiness", 2400),
    Page("evidence", "assets/breaker_snapshot", 1800),
    Page("check", "assets/breaker_snapshot?view=checks&checkDetail=open_breaker_has_operator_action", 1100),
    Page("runs", "runs"),
)
#: Taken after a release went to production.
OF_A_PROMOTION = (
    Page("lineage", "asset-groups", 1300, 2200),
    Page("sensor", "locations/phase5_ops/sensors/promotion_gate", 1000),
    Page("promotion", "assets/promotion", 1300),
)


def main(folder: Path) -> None:
    """Takes every picture into the folder."""
    browser = _browser()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phase5-pictures-") as work, pytest.MonkeyPatch.context() as patch:
        clean(patch)
        for scenario, made, pages in ((FAULT, _check, OF_A_FAULT), ("healthy", _promote, OF_A_PROMOTION)):
            home = Path(work) / scenario
            home.mkdir()
            with serving(scenario, home) as system:
                patch.setenv("AWS_ENDPOINT_URL", system.environment["AWS_ENDPOINT_URL"])
                until("the UI", lambda: _serves(system), PATIENCE)
                made(system)
                _take(pages, f"http://127.0.0.1:{system.port}", folder, browser)


def _check(system: Serving) -> None:
    ended = system.phase5("check", "--quiet")
    assert ended.code in (1, 2), ended


def _promote(system: Serving) -> None:
    """Registers the release, waits until it is to be signed, signs with three people, and waits until it is promoted."""
    _done(system, "init")
    _done(system, "promote", RELEASE.name, "--digest", RELEASE.digest)
    until("the release to wait for signatures", lambda: _is(system, Fate.READY_TO_SIGN), PATIENCE)
    for role, name in zip(ROLES, ("alice", "bob", "carol"), strict=True):
        _done(system, "sign-off", RELEASE.name, "--role", role, "--yes", environment=system.person(name))
    until("the release to be promoted", lambda: _is(system, Fate.PROMOTED), PATIENCE)


def _done(system: Serving, *arguments: str, **given: Any) -> None:
    ended = system.phase5(*arguments, **given)
    assert ended.code == 0, ended


def _is(system: Serving, fate: Fate) -> bool | None:
    candidate = system.state.candidate(RELEASE)
    return True if candidate is not None and candidate.fate is fate else None


def _serves(system: Serving) -> bool | None:
    return True if system.ticks() else None


def _take(pages: Sequence[Page], address: str, folder: Path, browser: str) -> None:
    for page in pages:
        target = folder / f"{page.name}.png"
        print(f"{target}: {address}/{page.path}", file=sys.stderr)
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000")
        size = f"--window-size={page.width},{page.height}"
        subprocess.run(
            [browser, *options, size, f"--screenshot={target}", f"{address}/{page.path}"], check=True, capture_output=True
        )


def _browser() -> str:
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        sys.exit("no Chromium on the PATH: install it (Debian: apt install chromium), or name it in CHROMIUM")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
