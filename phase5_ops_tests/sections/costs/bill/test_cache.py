"""A day's pull is kept: found again as it was, never used for another question, never trusted when it is broken."""

import os
import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.reads import ReadStatus
from phase5_ops.sections.costs.bill.cache import CostCache, question_digest
from phase5_ops.sections.costs.bill.evidence import Scope
from phase5_ops_tests.sections.costs.bill.cost_platform import ACCOUNT, NOW, Bill

DIGEST = question_digest({"account": ACCOUNT})


@pytest.fixture
def cache(tmp_path):
    return CostCache(tmp_path / "costs")


@pytest.fixture
def pull():
    return Bill().pull(Scope.of(Bill().policy, ACCOUNT, NOW))


def test_a_pull_is_found_again_as_it_was(cache, pull):
    cache.keep(DIGEST, pull)
    found = cache.load(DIGEST, until=NOW)
    assert found.lines.equals(pull.lines)
    assert replace(found, lines=None) == replace(pull, lines=None, reused=True)


def test_another_question_or_an_earlier_evaluation_time_gets_nothing(cache, pull):
    cache.keep(DIGEST, pull)
    assert cache.load(question_digest({"account": "other"}), until=NOW) is None
    assert cache.load(DIGEST, until=NOW - timedelta(seconds=1)) is None


@pytest.mark.parametrize("damage", ["cut", "garbage", "empty", "swapped", "folder"])
def test_a_broken_file_is_as_if_it_were_not_there_and_is_written_anew(cache, pull, damage, tmp_path):
    cache.keep(DIGEST, pull)
    (path,) = (tmp_path / "costs").glob("*.parquet")
    content = path.read_bytes()
    if damage == "folder":
        path.unlink()
        path.mkdir()
        assert cache.load(DIGEST, until=NOW) is None
        return
    if damage == "swapped":  # the answer to another question under this name
        cache.keep(question_digest({"account": "other"}), pull)
        (other,) = (each for each in (tmp_path / "costs").glob("*.parquet") if each != path)
        other.replace(path.with_name(f"{DIGEST[:32]}-{other.stem.split('-')[1]}.parquet"))
        path.unlink()
    else:
        path.write_bytes({"cut": content[: len(content) // 2], "garbage": b"PAR1" + os.urandom(200), "empty": b""}[damage])
    assert cache.load(DIGEST, until=NOW) is None
    cache.keep(DIGEST, pull)
    assert cache.load(DIGEST, until=NOW) is not None


def test_nothing_beside_the_file_is_left_and_old_files_go(cache, pull, tmp_path):
    cache.keep(question_digest({"account": "old"}), pull)
    (old,) = (tmp_path / "costs").glob("*.parquet")
    os.utime(old, (time.time() - 8 * 86_400,) * 2)
    cache.keep(DIGEST, pull)
    (kept,) = (tmp_path / "costs").iterdir()
    assert kept.match(f"{DIGEST[:32]}-*.parquet")


def test_no_damaged_byte_is_ever_taken_for_a_cost(cache, pull, tmp_path):
    cache.keep(DIGEST, pull)
    (path,) = (tmp_path / "costs").glob("*.parquet")
    content = path.read_bytes()
    for position in range(0, len(content), 97):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        assert cache.load(DIGEST, until=NOW) is None
    path.write_bytes(content)
    assert cache.load(DIGEST, until=NOW) is not None


def test_a_new_answer_takes_the_place_of_the_one_before(cache, pull, tmp_path):
    cache.keep(DIGEST, replace(pull, observed_at=NOW - timedelta(hours=1)))
    cache.keep(DIGEST, pull)
    assert cache.load(DIGEST, until=NOW).observed_at == NOW
    assert len(list((tmp_path / "costs").iterdir())) == 1


def test_what_a_killed_run_left_is_not_used_and_goes_with_time(cache, pull, tmp_path):
    cache.keep(DIGEST, pull)
    (path,) = (tmp_path / "costs").glob("*.parquet")
    content = path.read_bytes()
    path.unlink()
    left = path.with_name(f".{path.name}.{'0' * 32}")
    left.write_bytes(content[: len(content) // 2])
    assert cache.load(DIGEST, until=NOW) is None
    os.utime(left, (time.time() - 8 * 86_400,) * 2)
    cache.keep(DIGEST, pull)
    assert not left.exists()


def test_the_second_of_two_runs_waits_for_the_first_ones_answer(cache, pull):
    asked, ready = [], threading.Barrier(2)

    def run():
        ready.wait()
        with cache.locked(DIGEST, wait_seconds=30) as held:
            assert held
            if cache.load(DIGEST, until=NOW) is None:
                asked.append(1)
                cache.keep(DIGEST, pull)

    runs = [threading.Thread(target=run) for _ in range(2)]
    for each in runs:
        each.start()
    for each in runs:
        each.join(30)
    assert len(asked) == 1


def test_a_lock_that_is_not_freed_in_time_does_not_stop_a_run(cache):
    with cache.locked(DIGEST, wait_seconds=0), cache.locked(DIGEST, wait_seconds=0.2) as held:
        assert not held


@pytest.mark.parametrize(
    ("reads", "whole"),
    [
        ({}, True),
        ({"ce:ListCostAllocationTags": ReadStatus.DENIED}, True),
        ({"ce:ListCostAllocationTags": ReadStatus.THROTTLED}, False),
        ({"ce:GetCostAndUsage": ReadStatus.TIMEOUT}, False),
    ],
)
def test_only_a_pull_that_was_read_whole_is_worth_keeping(reads, whole):
    assert Bill(reads=reads).pull(Scope.of(Bill().policy, ACCOUNT, NOW)).whole is whole


def test_a_pull_with_a_problem_is_not_kept():
    bill = Bill(change=lambda grouped, _: grouped[0]["ResultsByTime"].pop(3))
    assert not bill.pull(Scope.of(bill.policy, ACCOUNT, NOW)).whole
