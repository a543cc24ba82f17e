"""What steps of a run print: kept in files, shown in Dagster's UI, and not printed a second time.

Dagster's own manager also copies it to the terminal, through two processes per stream. Ctrl-C reaches these before it reaches the
run, and each prints its own traceback over the one line that a person is told. The module stays at the root of the package, since
the dagster.yaml in every state folder names it.
"""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._serdes import ConfigurableClassData
from dagster._utils import ensure_file, touch_file


class StepOutput(LocalComputeLogManager):
    """Dagster's files under the state folder, in the places where it keeps them by default."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is set; the folder is DAGSTER_HOME's."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """Made by Dagster from its dagster.yaml."""
        return cls(str(Path(os.environ["DAGSTER_HOME"]) / "storage"), inst_data=inst_data, **config_value)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Sends what is printed to the files of this step while the block runs."""
        out, error = (
            self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind])
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        for path in (out, error):
            ensure_file(path)
        with redirect_to_file(sys.stdout, out), redirect_to_file(sys.stderr, error):
            yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))  # type: ignore[no-untyped-call]
