"""The PostgreSQL of the tests: it ends with who started it, however that ends, and leaves nothing."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from phase5_ops.sandbox.ports import HOST
from phase5_ops_tests import postgres
from phase5_ops_tests.gate.serving import until
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow

STARTS = "from phase5_ops_tests import postgres as p; print(p.server().port, p.server().folder, sep='\\n', flush=True); input()"


def test_a_server_ends_with_a_process_that_was_killed_and_its_folder_is_gone():
    postgres.need_postgres()
    owner = subprocess.Popen([sys.executable, "-c", STARTS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        port, folder = int(owner.stdout.readline()), Path(owner.stdout.readline().strip())
        at = {"host": HOST, "port": port, "user": postgres.USER, "dbname": "postgres"}
        with closing(psycopg2.connect(**at)) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW TimeZone")
            assert cursor.fetchone() == (postgres.TIME_ZONE,)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.communicate()
    until("the folder of the server is gone", lambda: None if folder.exists() else True, 30)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(**at)


def test_where_postgresql_is_not_installed_its_tests_say_so_or_fail_where_it_has_to_be(tmp_path, monkeypatch):
    monkeypatch.setattr(postgres, "_INSTALLED", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(postgres.REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="not run on PostgreSQL, which is not installed"):
        postgres.need_postgres()
    monkeypatch.setenv(postgres.REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match="there is no PostgreSQL"):
        postgres.need_postgres()
