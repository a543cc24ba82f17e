"""What libraries work out anew for each sandbox, session and run, hundreds of times in a test session, and always the same.

Nothing of what is tested depends on it. What must not live here: anything that a test puts another value into.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from botocore.hooks import EVENT_ALIASES, EventAliaser
from botocore.loaders import create_loader
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc._rfc7518.rsa_key import RSABinding
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import Pool

from phase5_ops.orchestration.wiring import evidence_asset, row_checks

T, M = TypeVar("T"), TypeVar("M")

_STORAGES = ("event_log.sqlite.sqlite_event_log", "runs.sqlite.sqlite_run_storage", "schedules.sqlite.sqlite_schedule_storage")


@contextmanager
def made_once() -> Iterator[None]:
    """In this block it is made once for the process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))  # descriptions of AWS, megabytes of JSON
        patch.setattr(RSABinding, "import_private_key", _imported_key)  # moto's one key
        patch.setattr("jwt.algorithms.load_pem_private_key", cache(load_pem_private_key))
        patch.setattr(ScriptDirectory, "from_config", _migrations)
        for storage in _STORAGES:
            patch.setattr(f"dagster._core.storage.{storage}.create_engine", _engine)
        patch.setattr("os.fsync", lambda _: None)
        patch.setattr(EventAliaser, "__init__", _aliaser)
        patch.setattr("phase5_ops.build.evidence_asset", _once_for_each(evidence_asset))
        patch.setattr("phase5_ops.build.row_checks", _once_for_each(row_checks))
        yield


_aliases: dict[str, str] = {}
_new_aliaser = EventAliaser.__init__


def _aliaser(aliaser: EventAliaser, emitter: Any, aliases: dict[str, str] | None = None) -> None:
    """Botocore looks the same thousands of names up for each session and client."""
    _new_aliaser(aliaser, emitter, aliases)
    if aliaser._event_aliases == EVENT_ALIASES:
        aliaser._alias_name_cache = _aliases


_keys: dict[str, Any] = {}
_import_key = RSABinding.import_private_key


def _imported_key(values: dict[str, str]) -> Any:
    if (key := repr(values)) not in _keys:
        _keys[key] = _import_key(values)
    return _keys[key]


def _once_for_each(make: Callable[[T], M]) -> Callable[[T], M]:
    """What Dagster makes of a declaration: it looks into each function, and nothing of it depends on settings or a run."""
    made: dict[int, tuple[T, M]] = {}

    def kept(declared: T) -> M:
        if id(declared) not in made:
            made[id(declared)] = (declared, make(declared))  # kept with it, so that the id stays its own
        return made[id(declared)][1]

    return kept


_scripts: dict[tuple[Any, ...], ScriptDirectory] = {}
_from_config = ScriptDirectory.from_config


def _migrations(config: Config) -> ScriptDirectory:
    """Dagster's migrations, seventy files, of which it asks the newest for each database of a run that it opens."""
    key = (config.config_file_name, config.get_main_option("script_location"))
    if key not in _scripts:
        _scripts[key] = _from_config(config)
    return _scripts[key]


def _engine(address: str, *, poolclass: type[Pool], connect_args: dict[str, float] | None = None) -> Engine:
    """The engine of a database file, with what it has compiled and its connections, which no power cut threatens.

    Dagster makes an engine for each statement, opens the file with it, and waits for the disk twice.
    """
    path = Path(address.removeprefix("sqlite:///"))
    if not path.exists():  # a file that is made anew has another inode, and so an engine of its own
        return create_engine(address, poolclass=poolclass, connect_args=connect_args or {})
    return _kept_engine(address, path.stat().st_ino, tuple((connect_args or {}).items()))


@lru_cache(maxsize=64)
def _kept_engine(address: str, _inode: int, connect_args: tuple[tuple[str, float], ...]) -> Engine:
    engine = create_engine(address, connect_args=dict(connect_args))
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    engine.dispose = lambda close=True: None  # type: ignore[method-assign]  # after each statement
    return engine
