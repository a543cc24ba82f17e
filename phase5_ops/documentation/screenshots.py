"""Takes the pictures of docs/images: `python -m phase5_ops.documentation.screenshots [FOLDER]`.

Starts the embedded platform and `phase5 ui` on it in a folder of its own, brings a release to production as people would, and has
headless Chromium (CHROMIUM names it; default: the first of `chromium`, `chromium-browser`, `google-chrome` on the PATH) take a
picture of each page. Takes some minutes; nothing leaves the machine. What must not live here: anything a test or a run needs.
"""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import boto3

from phase5_ops.checklist import ROLES

FAULT = "breaker-open-under-traffic"  # a failing row with a picture, for the run that is shown
RELEASE, DIGEST = "2026.11.3", f"sha256:{'a' * 64}"
_PATIENCE = 900  # seconds; each step takes some ten on an idle machine
_COMMAND = (sys.executable, "-m", "phase5_ops.cli")
_LOCATION = "locations/phase5_ops"


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
    Page("sensor", f"{_LOCATION}/sensors/promotion_gate", 1000),
    Page("promotion", "assets/promotion", 1300),
)


def main(folder: Path) -> None:
    """Takes every picture into the folder."""
    browser = _browser()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phase5-pictures-") as work:
        with _platform(FAULT, Path(work) / "fault") as environment:
            _phase5(environment, "check", "--quiet", "--output", str(Path(work) / "shown.txt"), accepted=(1, 2))
            with _ui(environment, Path(work)) as address:
                _take(OF_A_FAULT, address, folder, browser)
        with _platform("healthy", Path(work) / "promotion") as environment, _ui(environment, Path(work)) as address:
            _promote(environment)
            _take(OF_A_PROMOTION, address, folder, browser)


def _promote(environment: Mapping[str, str]) -> None:
    """Registers the release, waits until it is to be signed, signs with three people, and waits until it is promoted."""
    _phase5(environment, "init")
    _phase5(environment, "promote", RELEASE, "--digest", DIGEST)
    _await("the release to wait for signatures", lambda: _status(environment).get("gate") == "READY_TO_SIGN")
    for role, person in zip(ROLES, ("alice", "bob", "carol"), strict=True):
        _phase5(_person(environment, person), "sign-off", RELEASE, "--role", role, "--yes")
    _await("the release to be promoted", lambda: _status(environment).get("fate") == "PROMOTED")


def _status(environment: Mapping[str, str]) -> dict[str, Any]:
    """What `phase5 status` says of the release's candidate; nothing while the gate has not said anything."""
    done = subprocess.run(
        [*_COMMAND, "status", RELEASE, "--format", "json"], env=dict(environment), capture_output=True, text=True, check=False
    )
    document = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return document.get("candidate") or {}


def _person(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """The environment of a person whom the identity provider calls so."""
    sts = boto3.Session("sandbox", "sandbox", region_name=environment["AWS_REGION"]).client(
        "sts", endpoint_url=environment["AWS_ENDPOINT_URL"]
    )
    arn = "arn:aws:iam::123456789012:role/phase5-signer-docs"
    given = sts.assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
    keys = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {**environment, **{variable: given[key] for variable, key in zip(names, keys, strict=True)}}


@contextmanager
def _platform(scenario: str, state: Path) -> Iterator[dict[str, str]]:
    """A sandbox in a scenario; yields the environment that points to it and to a state folder."""
    process = subprocess.Popen(
        [*_COMMAND, "sandbox", "--scenario", scenario], stdout=subprocess.PIPE, text=True, env=_plain_environment()
    )
    try:
        exports: dict[str, str] = {}
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        for line in process.stdout:
            if not line.startswith("export "):
                break
            [(name, _, value)] = [each.partition("=") for each in shlex.split(line)[1:]]
            exports[name] = value
        yield {**_plain_environment(), **exports, "PHASE5_STATE_DIR": str(state)}
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


@contextmanager
def _ui(environment: Mapping[str, str], work: Path) -> Iterator[str]:
    """`phase5 ui`, once it serves; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with (work / "ui.log").open("a") as log:
        process = subprocess.Popen(
            [*_COMMAND, "ui", "--port", str(port)], env=dict(environment), stdout=log, stderr=log, start_new_session=True
        )
        try:
            _await("the UI to serve", lambda: _serves(address))
            yield address
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait()


def _serves(address: str) -> bool:
    query = json.dumps({"query": "{version repositoriesOrError {__typename}}"}).encode()
    try:
        with urlopen(Request(f"{address}/graphql", query, {"Content-Type": "application/json"}), timeout=10) as answer:  # noqa: S310
            return bool(json.load(answer)["data"]["repositoriesOrError"]["__typename"] == "RepositoryConnection")
    except (URLError, OSError, KeyError, TypeError):
        return False


def _take(pages: tuple[Page, ...], address: str, folder: Path, browser: str) -> None:
    for page in pages:
        target = folder / f"{page.name}.png"
        print(f"{target}: {address}/{page.path}", file=sys.stderr)
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--virtual-time-budget=20000")
        size = f"--window-size={page.width},{page.height}"
        subprocess.run(
            [browser, *options, size, f"--screenshot={target}", f"{address}/{page.path}"], check=True, capture_output=True
        )


def _phase5(environment: Mapping[str, str], *arguments: str, accepted: tuple[int, ...] = (0,)) -> None:
    """Runs a command.

    Raises:
        RuntimeError: it ended with another exit code; the message has what it said.
    """
    done = subprocess.run([*_COMMAND, *arguments], env=dict(environment), capture_output=True, text=True, check=False)
    if done.returncode not in accepted:
        raise RuntimeError(f"phase5 {' '.join(arguments)} ended with {done.returncode}: {done.stderr or done.stdout}")


def _await(what: str, holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + _PATIENCE
    while not holds():
        if time.monotonic() > ends:
            raise TimeoutError(f"waited {_PATIENCE} s in vain for {what}")
        time.sleep(2)


def _plain_environment() -> dict[str, str]:
    """This environment without settings of phase5, AWS or Dagster."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PHASE5_", "AWS_", "DAGSTER_"))}


def _browser() -> str:
    named = os.environ.get("CHROMIUM")
    found = named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        sys.exit("no Chromium on the PATH: install it (Debian: apt install chromium), or name it in CHROMIUM")
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("docs/images"))
