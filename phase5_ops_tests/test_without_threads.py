"""What is done in the caller's thread is what threads do; what takes its time is done in threads."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from phase5_ops.aws import pace
from phase5_ops.aws.reader import AwsReader, DeadlineExceeded
from phase5_ops.sandbox.aws.faults import FaultableMotoServer, Faults
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.without_sockets import over_sockets


@pytest.fixture
def faults():
    return Faults()


@pytest.fixture
def reader(faults, monkeypatch):
    server = FaultableMotoServer(faults)
    server.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    for name, value in {"AWS_REGION": "us-west-2", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}.items():
        monkeypatch.setenv(name, value)
    with own_aws():
        yield AwsReader(ReadingSettings(max_attempts=1))
    server.stop()


def threads_of(reader: AwsReader) -> set[threading.Thread]:
    """The threads in which a call and the parts of a parallel call were made."""
    return {reader.bounded(threading.current_thread), *pace.side_by_side(lambda _: threading.current_thread(), [1, 2], 2, "t")}


def test_what_this_process_answers_is_asked_in_the_callers_thread(reader):
    assert threads_of(reader) == {threading.current_thread()}


def test_what_takes_its_time_or_is_answered_elsewhere_is_asked_in_threads(reader, faults, monkeypatch):
    with over_sockets():
        assert threading.current_thread() not in threads_of(reader)
    faults.add("slow", operation="GetItem")
    assert threading.current_thread() not in threads_of(reader)
    faults.clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert threading.current_thread() not in threads_of(reader)


def test_reading_that_is_over_reads_nothing_more(reader):
    over = AwsReader(ReadingSettings(deadline_seconds=1), monotonic=iter([0.0, 2.0, 2.0]).__next__)
    with pytest.raises(DeadlineExceeded):
        over.bounded(lambda: pytest.fail("called"))


@pytest.mark.parametrize("fails", [None, 1, 2])
def test_a_parallel_call_gives_and_raises_what_threads_give_and_raise(reader, fails):
    def work(item: int) -> int:
        if item == fails:
            raise ValueError(item)
        return 2 * item

    def outcome(executor) -> object:
        with executor as pool:
            try:
                return list(pool.map(work, [1, 2, 3])), pool.submit(work, 2).result()
            except ValueError as error:
                return error.args

    assert outcome(pace.ThreadPoolExecutor(2, thread_name_prefix="t")) == outcome(ThreadPoolExecutor(2))
