"""Dagster's workspace of several environments: a code location for each of the list in PHASE5_CONFIG.

Each location is a process of its own that loads `phase5_ops.definitions` under the environment's name, so one whose settings are
refused shows its error in Dagster's UI, and the others are served.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from phase5_ops.aws.sessions import require_region
from phase5_ops.files import write_whole
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import ConfigurationError, load_served_settings, refuse_variables_of_one

FILE_NAME = "workspace.yaml"
_HEAD = "# The environments of the list in PHASE5_CONFIG. phase5 ui and phase5 init write this file anew.\n"


def workspace_text(environments: Sequence[str]) -> str:
    """The workspace file that serves these environments."""
    locations = [
        {
            "python_module": {
                "module_name": "phase5_ops.definitions",
                "attribute": environment,
                "location_name": DagsterNames(environment).location,
            }
        }
        for environment in environments
    ]
    return _HEAD + yaml.safe_dump({"load_from": locations}, sort_keys=False)


def write_workspace(home: Path, environments: Sequence[str]) -> Path:
    """Puts the workspace file into a prepared state folder.

    Raises:
        ConfigurationError: it cannot be written.
    """
    target = home / FILE_NAME
    try:
        write_whole(target, workspace_text(environments).encode())
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be written: {error.strerror}") from error
    return target


def state_folder_of(environments: Sequence[str], tell: Callable[[str], None]) -> Path:
    """The state folder of environments that are served together; `tell` is told of each that cannot be served.

    Raises:
        ConfigurationError: a variable would hold for all of them, or none of them can be served.
    """
    refuse_variables_of_one()
    folders = []
    for environment in environments:
        try:
            settings = load_served_settings(environment)
            require_region(settings.aws)
        except ConfigurationError as error:
            tell(f"{environment} is not served until this is mended: {error}")
        else:
            folders.append(settings.state_dir)
    if not folders:
        raise ConfigurationError("none of the environments that PHASE5_CONFIG lists can be served")
    return folders[0]
