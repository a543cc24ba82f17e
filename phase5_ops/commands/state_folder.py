"""The state folder: DAGSTER_HOME of everything that `phase5` does, with the project's dagster.yaml in it."""

import errno
import fcntl
import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import phase5_ops
from phase5_ops.files import sha256_of, write_whole
from phase5_ops.settings import ConfigurationError

if TYPE_CHECKING:
    from dagster import DagsterInstance

_REMEDY = "free its disk or allow writing to it, or name another folder with PHASE5_STATE_DIR"
_PACKAGE = Path(phase5_ops.__file__).parent

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG})
_UNUSABLE_DATABASE = frozenset(  # the first byte of what SQLite calls the error: https://www.sqlite.org/rescode.html
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
)
#: SHA-256 of every dagster.yaml that was put into state folders by an earlier version: nobody has changed these.
SHIPPED_BEFORE = frozenset(
    {
        "0b354d91ef0f6de15ed75bf3b22364d4e86a9ca816f815985b1184ecbe994f92",
        "ee7f8302d64abd7417ac80221b08a3396a2d87d6c5ce464df5d35e433bf9d564",
        "b09de912ff20785a50244b878818c25fda239fab4ea76ca0825c9d174ee6d4a4",
    }
)
#: That of this version's; where the file changes, it joins those before.
SHIPPED = "9bc4c4ffe2f3bc73a91709c83a2088f04dd0dcd81dc0f4f1b91cb2b7bc25ba23"

_TRIED = b"0" * 65536  # bytes that show whether the folder takes anything; more than a disk leaves in its last block


class FolderUnusable(Exception):
    """The state folder became unwritable in the middle of the work; the message names it, the reason and the remedy."""


def packaged(name: str) -> Path:
    """A file of the project's top level: where it is when installed, or in a clone."""
    return next(path for path in (_PACKAGE / name, _PACKAGE.parent / name) if path.exists())


def why_unusable(folder: Path) -> str | None:
    """Why the folder cannot be written now; None where it can."""
    target = folder / f".tried-{uuid4().hex}"
    try:
        write_whole(target, _TRIED)
        target.unlink()
    except OSError as error:
        return error.strerror or str(error)
    return None


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
            write_whole(target, packaged("dagster.yaml").read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"PHASE5_STATE_DIR={folder}: the state folder cannot be used: {error.strerror}; {_REMEDY}"
        ) from error
    if why := why_unusable(home):
        raise ConfigurationError(f"PHASE5_STATE_DIR={folder}: the state folder {home} cannot be written: {why}; {_REMEDY}")
    os.environ["DAGSTER_HOME"] = str(home)
    return home


def renew_dagster_yaml(folder: Path) -> str | None:
    """Puts this version's dagster.yaml in place of one that an earlier version had put there, which is kept beside it.

    One that a person changed stays, and this version's is put beside it to compare with.

    Args:
        folder: a prepared state folder.

    Returns:
        A line about it; None where the folder has this version's file.

    Raises:
        ConfigurationError: a file cannot be read or written.
    """
    target, shipped = folder / "dagster.yaml", packaged("dagster.yaml").read_bytes()
    try:
        present = target.read_bytes()
        if present == shipped:
            return None
        digest = sha256_of(present).removeprefix("sha256:")
        if digest not in SHIPPED_BEFORE:
            beside = folder / "dagster.yaml.shipped"
            write_whole(beside, shipped)
            return f"{target} was changed here and stays as it is; compare it with {beside}, which this version would put there"
        kept = folder / f"dagster.yaml.{digest[:8]}"
        write_whole(kept, present)
        write_whole(target, shipped)
    except OSError as error:
        raise ConfigurationError(f"{target}: cannot be renewed: {error.strerror}; {_REMEDY}") from error
    return f"{target} is this version's now; that of an earlier version is kept as {kept}, and running daemons need a restart"


def open_dagster(home: Path) -> "DagsterInstance":
    """Dagster's instance of a prepared state folder; the caller closes it.

    One process at a time opens it: two that make its SQLite storage at once fail with "table already exists". The lock is
    flock(2): it ends with its process, however that ends.

    Raises:
        ConfigurationError: the database that dagster.yaml names does not answer.
    """
    from dagster import DagsterInstance  # here, since most of what prepares a state folder never needs it
    from sqlalchemy.exc import OperationalError

    with (home / ".opening-dagster").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return DagsterInstance.from_config(str(home))
        except Exception as error:
            cause = error.__cause__ if isinstance(error.__cause__, OperationalError) else error
            if not isinstance(cause, OperationalError) or isinstance(cause.orig, sqlite3.Error):
                raise
            said = " ".join(str(cause.orig).split())
            raise ConfigurationError(
                f"Dagster's storage, as {home / 'dagster.yaml'} names it, does not answer: {said}; start it, or correct the file"
            ) from error


def raise_if_unusable(folder: Path, error: BaseException | None = None) -> None:
    """After a failure that the folder may have caused: raises if it is unusable, or if the failure says that it, or a part, was.

    A disk that was too full for what was to be written may have room for less.

    Raises:
        FolderUnusable: the folder cannot be written.
    """
    if why := why_unusable(folder) or _why_in(error, folder):
        raise FolderUnusable(f"the state folder {folder} cannot be written any more: {why}; {_REMEDY}")


def _why_in(error: BaseException | None, folder: Path) -> str | None:
    """What an error, or one of its causes, says of a full disk or of something in the folder that cannot be written."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return error.strerror
        if isinstance(error, PermissionError) and error.filename and Path(error.filename).is_relative_to(folder):
            return f"{error.strerror}: {error.filename}"
        if isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _UNUSABLE_DATABASE:
            return str(error)
        error = error.__cause__ or error.__context__
    return None
