"""What libraries work out anew for each sandbox, session and run, hundreds of times in a test session, and always the same.

Nothing of what is tested depends on it. What must not live here: anything that a test puts another value into.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from botocore.loaders import create_loader
from cryptography.hazmat.primitives.asymmetric.rsa import rsa_recover_prime_factors
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import NullPool

_STORAGES = ("event_log.sqlite.sqlite_event_log", "runs.sqlite.sqlite_run_storage", "schedules.sqlite.sqlite_schedule_storage")


@contextmanager
def made_once() -> Iterator[None]:
    """In this block it is made once for the process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))  # descriptions of AWS, megabytes of JSON
        patch.setattr("joserfc._rfc7518.rsa_key.rsa_recover_prime_factors", cache(rsa_recover_prime_factors))  # moto's one key
        patch.setattr(ScriptDirectory, "from_config", _migrations)
        for storage in _STORAGES:
            patch.setattr(f"dagster._core.storage.{storage}.create_engine", _engine)
        yield


_scripts: dict[tuple[Any, ...], ScriptDirectory] = {}
_from_config = ScriptDirectory.from_config


def _migrations(config: Config) -> ScriptDirectory:
    """Dagster's migrations, seventy files, of which it asks the newest for each database of a run that it opens."""
    key = (config.config_file_name, config.get_main_option("script_location"))
    if key not in _scripts:
        _scripts[key] = _from_config(config)
    return _scripts[key]


def _engine(address: str, *, poolclass: type[NullPool], connect_args: dict[str, float] | None = None) -> Engine:
    """The engine of a database, with the statements that it has compiled; Dagster makes one for each statement."""
    return _kept_engine(address, poolclass, tuple((connect_args or {}).items()))


@lru_cache(maxsize=64)
def _kept_engine(address: str, poolclass: type[NullPool], connect_args: tuple[tuple[str, float], ...]) -> Engine:
    return create_engine(address, poolclass=poolclass, connect_args=dict(connect_args))
