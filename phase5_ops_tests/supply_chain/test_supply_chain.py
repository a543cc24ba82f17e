"""Licences are those of the page and allowed, the bill of materials is whole, and no silence passes for "no vulnerability"."""

import json
from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace

import pytest

from phase5_ops_tests.supply_chain import bill_of_materials, licences, vulnerabilities
from phase5_ops_tests.supply_chain.pins import pinned

PINS = {"a": "1.0", "b-c": "2.0"}
CLEAN = [{"name": "a", "version": "1.0", "vulns": []}, {"name": "b_c", "version": "2.0", "vulns": []}]


def test_every_licence_is_on_the_page_and_allowed():
    assert licences.problems() == []


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("GPL-3.0-or-later", False),
        ("", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR MIT AND BSD-3-Clause", True),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
        ("(MPL-2.0 OR MIT) AND ISC", True),
        ("(MIT)", True),
        ("Apache-2.0 WITH LLVM-exception", True),
        ("Apache-2.0 WITH Other-exception", False),
    ],
)
def test_of_an_and_all_are_needed_and_of_an_or_one(expression, allowed):
    assert licences.is_allowed(expression) is allowed


def test_a_package_with_another_licence_is_named(monkeypatch, tmp_path):
    page = tmp_path / "licences.md"
    page.write_text(licences.PAGE.read_text().replace("| pytest | MIT |", "| pytest | GPL-3.0-only |"))
    monkeypatch.setattr(licences, "PAGE", page)
    assert licences.problems()[0].startswith("pytest: the page says GPL-3.0-only, it says 'MIT'")
    monkeypatch.setattr(licences, "ALLOWED", licences.ALLOWED - {"MIT"})
    licences.write()
    assert "pytest: MIT is not allowed; use another package, or say in ODD why it may be" in licences.problems()


def test_the_bill_of_materials_names_every_installed_package_and_keeps_to_the_schema(tmp_path):
    pytest.importorskip("cyclonedx_py", reason="the extra audit is not installed")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    assert bill_of_materials.write(tmp_path / "sbom.json", validate=False) == 0
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert bill["metadata"]["component"]["name"] == "phase5-ops"
    there = {each["name"].lower().replace("_", "-").replace(".", "-"): each["version"] for each in bill["components"]}
    assert {name: there.get(name) for name in pinned() if _installed(name)} == {
        name: _installed(name) for name in pinned() if _installed(name)
    }
    few = bill["components"][::40]  # the whole takes half a minute, which the command spends
    names = {each["bom-ref"] for each in few} | {bill["metadata"]["component"]["bom-ref"]}
    bill |= {"components": few, "dependencies": [{"ref": each["ref"]} for each in bill["dependencies"] if each["ref"] in names]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill)) is None
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps({"bomFormat": "x"})) is not None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def answering(monkeypatch, *answers, code=0, error=""):
    """pip-audit answers these, one a call; the last for ever."""
    left = list(answers)

    def run(command, **_):
        assert "--no-deps" in command
        answer = left.pop(0) if len(left) > 1 else left[0]
        text = answer if isinstance(answer, str) else json.dumps({"dependencies": answer})
        return SimpleNamespace(stdout=text, stderr=error, returncode=code)

    monkeypatch.setattr(vulnerabilities.subprocess, "run", run)


def test_no_known_vulnerability_is_said(monkeypatch, capsys):
    answering(monkeypatch, CLEAN)
    assert vulnerabilities.look_up(PINS) == []
    assert capsys.readouterr().out == "no known vulnerability in 2 pinned packages\n"


def test_a_vulnerability_fails_with_its_remedy(monkeypatch):
    bad = {
        "name": "b-c",
        "version": "2.0",
        "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"]}, {"id": "GHSA-2", "fix_versions": []}],
    }
    answering(monkeypatch, CLEAN[:1], [CLEAN[0], bad], code=1)
    first, second = vulnerabilities.look_up(PINS)
    assert first == "b-c==2.0: PYSEC-1; fixed in 2.1; raise it in constraints.txt (pyproject.toml)"
    assert "GHSA-2; fixed in no version yet" in second


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "Could not connect"),
        ("<html>", "Could not connect"),
        ('{"x": 1}', "Could not connect"),
        ([{"name": "a", "skip_reason": "Dependency not found on PyPI and could not be audited: a (1.0)"}], "does not know a"),
    ],
)
def test_a_database_that_cannot_be_reached_is_one_line_and_no_claim(monkeypatch, capsys, answer, said):
    answering(monkeypatch, answer, code=1, error="WARNING\nCould not connect to PyPI's vulnerability feed")
    assert vulnerabilities.look_up(PINS) == []
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("skipped: known vulnerabilities were not looked up")
    assert said in line


def test_a_package_that_was_left_out_fails(monkeypatch):
    answering(monkeypatch, CLEAN[:1], [CLEAN[0], {"name": "b-c", "skip_reason": "not found"}])
    assert vulnerabilities.look_up(PINS) == ["b-c==2.0: it was not looked up: not found; look at it by hand"]
    answering(monkeypatch, CLEAN[:1], CLEAN[:1])
    assert vulnerabilities.look_up(PINS) == ["b-c==2.0: it was not looked up: the tool said nothing of it; look at it by hand"]
