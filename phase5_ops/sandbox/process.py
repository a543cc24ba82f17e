"""The sandbox as a process: serving until told to end, and a child process for the demo that never outlives its parent."""

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from phase5_ops.settings import ConfigurationError, load_settings

READY = "# ready"
#: The state folder of the sandbox, in the folder where it is started.
FOLDER = ".phase5-sandbox"
_START_SECONDS = 60


def serve(scenario: str, port: int, *, until_stdin_closes: bool) -> None:
    """Serves a scenario, prints its `export` lines and `# ready`, and blocks until SIGINT or SIGTERM (or the end of stdin)."""
    from phase5_ops.sandbox.server import Sandbox

    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Sandbox(scenario, port=port) as sandbox:
        for name, value in {**sandbox.exports(), **own_state_folder()}.items():
            print(f"export {name}={shlex.quote(value)}")
        print(READY, flush=True)
        if until_stdin_closes:
            threading.Thread(target=_end_with_stdin, args=(ended,), daemon=True).start()
        else:
            about = "run the export lines in the shell in which you use phase5; links to the AWS console lead nowhere"
            print(f"phase5: the sandbox serves {scenario}: {about}; Ctrl-C ends the sandbox", file=sys.stderr)
        ended.wait()


def own_state_folder() -> dict[str, str]:
    """Where the sandbox's runs are kept unless the settings name a folder: never among those of a real platform."""
    given = load_settings()
    chosen = given.state_dir if "state_dir" in given.model_fields_set else Path(FOLDER).resolve()
    return {"PHASE5_STATE_DIR": str(chosen)}


def _end_with_stdin(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


@contextmanager
def sandbox_process(scenario: str) -> Iterator[dict[str, str]]:
    """A sandbox in a process of its own; yields its environment variables. It ends with the block, or with this process.

    Raises:
        ConfigurationError: the sandbox did not start; its own message is on stderr.
    """
    command = [sys.executable, "-m", "phase5_ops.cli", "sandbox", "--scenario", scenario, "--until-stdin-closes"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C reaches this process, which then ends the child in order
    )
    watchdog = threading.Timer(_START_SECONDS, process.kill)
    watchdog.start()
    try:
        exports = _read_exports(process)
        watchdog.cancel()
        yield exports
    finally:
        watchdog.cancel()
        process.stdin.close()  # type: ignore[union-attr]
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]


def _read_exports(process: "subprocess.Popen[str]") -> dict[str, str]:
    exports: dict[str, str] = {}
    for line in process.stdout:  # type: ignore[union-attr]
        if line.strip() == READY:
            return exports
        if line.startswith("export "):
            name, _, value = line.removeprefix("export ").strip().partition("=")
            exports[name] = shlex.split(value)[0] if value else ""
    raise ConfigurationError(f"the sandbox did not start (exit code {process.wait()}); its message is above")
