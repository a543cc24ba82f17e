"""The state folder: DAGSTER_HOME of everything that `phase5` does, with the project's dagster.yaml in it."""

import os
from pathlib import Path

from phase5_ops.settings import ConfigurationError
from phase5_ops.whole_file import write_whole

_SOURCES = (Path(__file__).parent / "dagster.yaml", Path(__file__).parent.parent / "dagster.yaml")


def prepare_state_folder(folder: Path) -> Path:
    """Creates the folder, puts dagster.yaml there where there is none (a changed one is the user's), and sets DAGSTER_HOME.

    Returns:
        The folder's absolute path.

    Raises:
        ConfigurationError: the folder cannot be made or written.
    """
    home = folder.expanduser().resolve()
    try:
        home.mkdir(parents=True, exist_ok=True)
        target = home / "dagster.yaml"
        if not target.exists():
            source = next(path for path in _SOURCES if path.exists())
            write_whole(target, source.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"PHASE5_STATE_DIR={folder}: the state folder cannot be used: {error}") from error
    os.environ["DAGSTER_HOME"] = str(home)
    return home
