"""A name that stands twice in what people write is an error, wherever it stands and however it is spelled."""

import pytest
import yaml

from phase5_ops.input_files.written_twice import WrittenTwice, distinct_json, distinct_yaml
from phase5_ops.sections.isolation.roles.template import UnreadableTemplate, read_template
from phase5_ops.settings import ConfigurationError, load_settings

TWICE = [
    "a: 1\na: 2\n",
    "a: 1\na: 1\n",
    "a: 1\n'a': 2\n",
    '"a": 1\n"\\x61": 2\n',
    "{a: 1, a: 2}",
    "b:\n  a: 1\n  c: 3\n  a: 2\n",
    "- {a: 1, a: 2}\n",
    "1: x\n0x1: y\n",
    "true: x\nyes: y\n",
    "~: x\nnull: y\n",
    "x: &x {a: 1, a: 2}\ny: *x\n",
    "x: &x {a: 1}\ny: {<<: *x, <<: *x}\n",
    "? a\n: 1\n? a\n: 2\n",
    "!!str a: 1\na: 2\n",
]


@pytest.mark.parametrize("text", TWICE)
def test_a_key_given_twice_in_yaml_is_an_error(text):
    with pytest.raises(WrittenTwice, match="stands twice, in line"):
        distinct_yaml(text)


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a: 1\nb: {a: 2}\n", {"a": 1, "b": {"a": 2}}),
        ("- a: 1\n- a: 2\n", [{"a": 1}, {"a": 2}]),
        ("x: &x {a: 1, b: 2}\ny: {<<: *x, a: 3}\n", {"x": {"a": 1, "b": 2}, "y": {"a": 3, "b": 2}}),
        ("x: &x {a: 1}\nz: &z {a: 2}\ny: {<<: [*x, *z]}\n", {"x": {"a": 1}, "z": {"a": 2}, "y": {"a": 1}}),
        ("1: x\n'1': y\n", {1: "x", "1": "y"}),
        ("", None),
    ],
)
def test_what_is_not_twice_in_one_mapping_is_read_as_ever(text, content):
    assert distinct_yaml(text) == content


@pytest.mark.parametrize("text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "\\u0061": 2}}]'])
def test_a_name_given_twice_in_json_is_an_error(text):
    with pytest.raises(WrittenTwice, match="'a' stands twice"):
        distinct_json(text)


def test_a_setting_given_twice_in_the_file_is_a_configuration_error_with_the_lines(monkeypatch, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("slo:\n  error_rate_max: 0.001\n  latency_target: 0.999\n  error_rate_max: 0.5\n")
    monkeypatch.setenv("PHASE5_CONFIG", str(path))
    with pytest.raises(ConfigurationError, match=r"'error_rate_max' stands twice, in line 2 and in line 4; keep one"):
        load_settings()


def test_a_name_given_twice_in_a_variable_is_a_configuration_error(monkeypatch):
    monkeypatch.setenv("PHASE5_TOOLS", '[{"name": "crm.write", "traffic": "steady", "traffic": "rare"}]')
    with pytest.raises(ConfigurationError, match=r"PHASE5_TOOLS: not valid JSON .*'traffic' stands twice"):
        load_settings()
    monkeypatch.delenv("PHASE5_TOOLS")
    monkeypatch.setenv("PHASE5_SLO", '{"error_rate_max": 0.001, "error_rate_max": 0.5}')
    with pytest.raises(ConfigurationError, match=r"PHASE5_SLO: not valid JSON .*'error_rate_max' stands twice"):
        load_settings()


@pytest.mark.parametrize(
    "text",
    [
        "Resources:\n  A: {Type: x}\nResources:\n  B: {Type: y}\n",
        "Resources:\n  A:\n    Type: AWS::IAM::Role\n    Properties: !If\n      - c\n      - {a: 1, a: 2}\n      - {}\n",
        "Resources:\n  A: !GetAtt {a: 1, a: 2}\n",
        '{"Resources": {"A": {}, "A": {}}}',
    ],
)
def test_a_template_with_a_key_given_twice_cannot_be_read(text):
    with pytest.raises(UnreadableTemplate, match="stands twice"):
        read_template(text)


def repeated(levels: int) -> str:
    """Anchors of anchors of anchors: some lines that stand for 9 to the power of `levels` values."""
    lines = [f"l{level}: &l{level} [{', '.join([f'*l{level - 1}' if level else 'x'] * 9)}]" for level in range(levels)]
    return "\n".join([*lines, f"Resources: {{A: *l{levels - 1}}}", ""])


@pytest.mark.parametrize("text", [repeated(9), repeated(60), "a: &a [*a]\n", "a: &a {b: *a}\n", "&a {*a : 1}\n"])
def test_a_document_that_its_own_anchors_make_endless_is_refused_at_once(text, monkeypatch, tmp_path):
    with pytest.raises(yaml.YAMLError, match="anchors repeat"):
        distinct_yaml(text)
    with pytest.raises(UnreadableTemplate, match="anchors repeat"):
        read_template(text)
    (tmp_path / "phase5.yaml").write_text(text)
    monkeypatch.setenv("PHASE5_CONFIG", str(tmp_path / "phase5.yaml"))
    with pytest.raises(ConfigurationError, match="anchors repeat"):
        load_settings()


def test_anchors_that_repeat_little_are_read():
    assert distinct_yaml("a: &a [1, 2]\nb: [*a, *a]\n") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
