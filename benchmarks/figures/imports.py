"""What has to be imported before work begins: of a readiness run, of verifying offline, of the code location."""

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from benchmarks.figure import Command, Counts, Figure, Side, Work
from benchmarks.targets import times_before

_MODULES = {
    "phase5 check": "import phase5_ops.cli.app, phase5_ops.commands.readiness, phase5_ops.settings",
    "phase5 verify": "import phase5_ops.cli.files, phase5_ops.policy, phase5_ops.gate.attestation.verification",
    "code location": "import phase5_ops.definitions",
    "Dagster and boto3": "import dagster, boto3",
}


def _importing(name: str) -> Callable[[int, Path], AbstractContextManager[Work]]:
    """A process that imports, says how many modules it has, and ends."""

    @contextmanager
    def begin(_size: int, _folder: Path) -> Iterator[Work]:
        code = f"{_MODULES[name]}\nimport sys\nprint(len(sys.modules))"

        def counts(output: str) -> Counts:
            return {f"modules of {name}": float(output.rsplit(maxsplit=1)[-1])}

        environment = {"AWS_REGION": "us-west-2", "PYTHONDONTWRITEBYTECODE": ""}
        yield Command([sys.executable, "-c", code], counts, environment=environment)

    return begin


FIGURES = (
    Figure(
        name="imports",
        title="Import times",
        measures="""
            A process that imports what a readiness run, the offline verification of attestations or Dagster's code location needs
            before it begins, from Python's start to its end, with compiled modules. It is compared with a process that imports
            Dagster and boto3 and nothing of this project.""",
        unit="processes",
        sizes=(1,),
        small=1,
        sides=tuple(Side(name, _importing(name)) for name in ("phase5 check", "phase5 verify", "code location")),
        reference=Side("Dagster and boto3", _importing("Dagster and boto3")),
        targets=(times_before(1.0),),
    ),
)
