"""Debian's PostgreSQL for the tests of this process: a server on a free port, in a folder of its own, that never outlives it.

With TESTS_STORAGE=postgres the tests that give a state folder its Dagster storage by `own_database` have it there, each folder
in a database of its own. Where PostgreSQL is not installed they are skipped, or fail if TESTS_NEED_POSTGRES is set.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import pytest
import yaml

from phase5_ops.commands.state_folder import packaged
from phase5_ops.files import write_whole
from phase5_ops.sandbox.ports import HOST, free_port

STORAGE, REQUIRED = "TESTS_STORAGE", "TESTS_NEED_POSTGRES"
CHOSEN = os.environ.get(STORAGE) == "postgres"
USER = "phase5"
#: Of the server, whose own time is behind UTC on purpose: timestamps without a time zone are kept in it.
TIME_ZONE = "America/Los_Angeles"

_started: list["subprocess.Popen[str]"] = []
_INSTALLED = Path("/usr/lib/postgresql")  # Debian's place: a folder a version
# The server is ended, and its folder removed, when the pipe on standard input is closed: when this process ends, however it does.
_SERVE = """set -e
initdb --pgdata "$1/data" --username "$3" --auth trust --encoding UTF8 --no-locale --no-sync > "$1/initdb.log" 2>&1
pg_ctl start --wait --silent --pgdata "$1/data" --log "$1/server.log" --options "-c port=$2 -c listen_addresses=$4 \
  -c unix_socket_directories='' -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c timezone=$5"
echo ready
cat > "$1/nothing-is-said"
pg_ctl stop --silent --mode immediate --pgdata "$1/data" || true
cd / && rm -rf "$1"
"""


@dataclass(frozen=True)
class Database:
    """A database of the server; it takes whoever comes from this machine as its user."""

    port: int
    name: str

    @property
    def postgres_db(self) -> dict[str, object]:
        """As dagster.yaml names it."""
        driver = "postgresql+psycopg2"  # what dagster-postgres brings; since SQLAlchemy 2.1 it is not the default
        return {"hostname": HOST, "port": self.port, "username": USER, "password": "", "db_name": self.name, "scheme": driver}


@dataclass(frozen=True)
class Server:
    """The running server, and the folder that it is in."""

    port: int
    folder: Path

    def create(self, template: str = "template1") -> Database:
        """A new database: empty, or a copy of another one that nobody is connected to."""
        name = f"t_{uuid4().hex}"
        self._say(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        return Database(self.port, name)

    def drop(self, name: str) -> None:
        """Removes a database, whoever is connected to it."""
        self._say(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def _say(self, statement: str) -> None:
        import psycopg2

        with closing(psycopg2.connect(host=HOST, port=self.port, user=USER, dbname="postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)


def need_postgres() -> Path:
    """The folder of PostgreSQL's programs, of the newest version; skips where there is none, unless there has to be."""
    versions = sorted(_INSTALLED.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True)
    found = str(versions[0]) if versions else shutil.which("initdb")
    if found is None and os.environ.get(REQUIRED):
        pytest.fail(f"{REQUIRED} is set, and there is no PostgreSQL: no initdb in {_INSTALLED}/*/bin or in PATH")
    if found is None:
        pytest.skip("not run on PostgreSQL, which is not installed: apt-get install postgresql")
    return Path(found).parent


@cache
def server() -> Server:
    """This process's server, started when it is first asked for."""
    programs, port = need_postgres(), free_port(0, "PostgreSQL")
    folder = Path(tempfile.mkdtemp(prefix="phase5-postgres-"))
    folder.chmod(0o700)
    log = folder / "server.log"
    as_user = []
    if os.geteuid() == 0:  # PostgreSQL refuses root
        user = _other_user()
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    process = subprocess.Popen(
        [*as_user, "sh", "-c", _SERVE, "postgres", str(folder), str(port), USER, HOST, TIME_ZONE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env={"PATH": f"{programs}:{os.defpath}", "LC_ALL": "C"},
        start_new_session=True,  # Ctrl-C ends this process, and this one the server
    )
    _started.append(process)
    assert process.stdout is not None
    said = process.stdout.readline()
    if said != "ready\n":
        logs = "".join(path.read_text() for path in (folder / "initdb.log", log) if path.exists())
        raise RuntimeError(f"PostgreSQL did not start: {said}{process.stdout.read()}{logs[-2000:]}")
    return Server(port, folder)


def stop() -> None:
    """Ends the server, if there is one, and removes its folder."""
    while _started:
        process = _started.pop()
        process.communicate(timeout=60)
        server.cache_clear()


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL refuses root, and there is neither a user postgres nor nobody")


def own_database(state: Path) -> None:
    """Where PostgreSQL is chosen: Dagster keeps what belongs to a state folder in a database of the folder's own.

    One that was copied from another folder gets a copy of that one's database, which nobody may be connected to.
    """
    if CHOSEN:
        path = state / "dagster.yaml"
        kept = _database_of(path)
        state.mkdir(parents=True, exist_ok=True)
        write_whole(path, on_postgres(server().create(kept or "template1")).encode())


def without_database(state: Path) -> None:
    """Removes the database of a state folder that nobody needs any more."""
    if CHOSEN and (name := _database_of(state / "dagster.yaml")):
        server().drop(name)


def on_postgres(database: Database) -> str:
    """The project's dagster.yaml, with this storage in place of its own."""
    settings = yaml.safe_load(packaged("dagster.yaml").read_text("utf-8"))
    return yaml.safe_dump({**settings, "storage": {"postgres": {"postgres_db": database.postgres_db}}})


def _database_of(path: Path) -> str | None:
    """The database that a dagster.yaml names."""
    if not path.exists():
        return None
    return str(yaml.safe_load(path.read_text("utf-8"))["storage"]["postgres"]["postgres_db"]["db_name"])


@contextmanager
def a_database() -> Iterator[Database]:
    """An empty database, for as long as the block."""
    made = server().create()
    try:
        yield made
    finally:
        server().drop(made.name)
