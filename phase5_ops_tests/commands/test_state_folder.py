"""The state folder: several processes may begin with a new one at once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from phase5_ops.commands.state_folder import open_dagster, prepare_state_folder

TOGETHER = 4


def test_whoever_opens_dagster_in_a_new_folder_at_once_waits_for_the_first_one_to_make_its_storage(tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", "")
    begin = Barrier(TOGETHER)

    def opened(home) -> int:
        begin.wait()
        with open_dagster(home) as instance:
            return instance.get_runs_count()

    for attempt in range(3):
        home = prepare_state_folder(tmp_path / str(attempt))
        with ThreadPoolExecutor(TOGETHER) as pool:
            assert list(pool.map(opened, [home] * TOGETHER)) == [0] * TOGETHER
