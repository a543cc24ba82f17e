"""What the campaigns found stays mended, and a few new inputs are tried each time; see docs/fuzzing.md."""

import re
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from phase5_ops_tests.fuzz import page
from phase5_ops_tests.fuzz.registry import CORPUS, names, parser
from phase5_ops_tests.fuzz.selection import LARGEST, chosen
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.places import ROOT

pytestmark = pytest.mark.slow(20)


@pytest.mark.parametrize("name", names())
def test_a_sound_input_is_taken_and_every_kept_one_becomes_what_it_must(name):
    def seconds(data: bytes) -> float:
        began = time.process_time()
        parser(name).fuzz(data)
        return time.process_time() - began

    for data in (b"", *parser(name).kept_inputs):
        # what is compiled for the first of them takes as long, once a machine
        assert seconds(data) < 10 or seconds(data) < 10, data


@pytest.mark.parametrize("name", names())
def test_new_inputs_become_what_they_must(name):
    @settings(max_examples=8, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=1, max_size=120))
    def tried(data):
        parser(name).fuzz(data)

    tried()


def test_the_kept_inputs_are_small_and_of_parsers_that_there_are():
    assert {path.stem for path in CORPUS.iterdir()} <= set(names())
    assert all(path.stat().st_size < 8_000 for path in CORPUS.iterdir())


def test_the_page_is_as_the_parsers_and_figures_say():
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.written(text) == text, "python -m phase5_ops_tests.fuzz --write writes it anew"
    codes = set(re.findall(r"^\| `([a-z0-9_]+)` \|", (ROOT / "docs" / "findings.md").read_text(encoding="utf-8"), re.MULTILINE))
    for name in names():
        named = re.findall(r"`([a-z0-9]+(?:_[a-z0-9]+)+)`", parser(name).malformed)
        assert set(named) <= codes, name


def test_equal_bytes_give_equal_values_and_no_bytes_change_nothing():
    seed = {"a": [1, {"b": "c"}], "d": None}
    assert Source(b"").changed(seed) == seed
    assert Source(b"").spliced("text") == "text"
    for data in (b"\x02\x01\x05\x00\x09", bytes(range(60))):
        assert repr(Source(data).changed(seed)) == repr(Source(data).changed(seed))
    assert any(Source(bytes([n] * 20)).changed(seed) != seed for n in range(1, 9))


def test_inputs_are_chosen_by_the_lines_that_they_reach():
    fuzz = parser("alarm_expressions").fuzz
    found = chosen(fuzz, [b"\x01", b"\x01" * 2, b"\x05" * 30, b"\x09" * LARGEST * 2])
    assert b"\x01" in found
    assert sum(map(len, found)) <= LARGEST


def test_a_campaign_counts_and_ends(tmp_path):
    pytest.importorskip("atheris", reason="the extra fuzz is not installed")
    command = [sys.executable, "-m", "phase5_ops_tests.fuzz", "--seconds", "2", "--folder", str(tmp_path), "alarm_expressions"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert '"faults": []' in ended.stdout
    assert int(re.search(r'"executions": (\d+)', ended.stdout)[1]) > 10
    assert subprocess.run([*command[:3], "nothing"], cwd=ROOT, capture_output=True, timeout=60, check=False).returncode == 2
