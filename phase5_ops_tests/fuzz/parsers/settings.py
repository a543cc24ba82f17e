"""The settings: the YAML file that PHASE5_CONFIG names, of one environment or a list of several, and the variables."""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import yaml

from phase5_ops.settings import ConfigurationError, load_settings
from phase5_ops_tests.fuzz.source import Source

READS = "the YAML settings file and PHASE5_ variables (`settings`, `input_files/{config_file,written_twice}`)"
MALFORMED = "`ConfigurationError` that names the setting and the remedy (exit 3); never a default in its place"

CONTENT = {
    "environment": "production",
    "state_dir": ".phase5",
    "tables": {"ledger": "cc-native-ledger"},
    "reading": {"max_attempts": 3},
    "slo": {"latency_threshold_ms": 5000},
    "gate": {"warn_blocks": ["1.2"]},
    "tools": [{"name": "crm.create_task", "traffic": "steady"}],
}
#: As a list has it: the first entry is that of `production`.
LISTED = [CONTENT, {"environment": "production-eu", "state_dir": ".phase5", "evidence_s3_uri": "s3://kept/eu"}]
VARIABLES = {
    "PHASE5_ENVIRONMENT": "production",
    "PHASE5_TABLES__LEDGER": "x",
    "PHASE5_TOOLS": '[{"name": "crm.create_task"}]',
    "PHASE5_NOW": "2026-11-23T09:00:00Z",
    "PHASE5_READING__MAX_ATTEMPTS": "3",
    "PHASE5_GATE__WARN_BLOCKS": '["1.2"]',
    "PHASE5_PROBE_MODE": "full",
    "PHASE5_DAGSTER_URL": "https://dagster.example",
}
PIECES = (
    "&a ", "*a", "<<: ", "- ", ": ", "{", "}", "[", "]", "|\n", ">\n", "'", '"', "? ",
    "!!python/object/apply:os.system [ls]\n", "!!binary ", "!!set ", "---\n", "...\n", "0x1", "1_000", "2026-11-23", ".inf",
    "~", "\t", "#", "&a [*a]", "\x00", "a: &a [x, x]\n", "b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\n",
    "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\n", "1:2:3", "!!int ''", "!!timestamp '2026-13-01'", "!!float x",
)  # fmt: skip


def loaded(text: str, variables: Mapping[str, str]) -> None:
    """Loads the settings of this file and these variables, and no others."""
    others = {name: value for name, value in os.environ.items() if not name.upper().startswith("PHASE5_")}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "phase5.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with patch.dict(os.environ, {**others, **variables, "PHASE5_CONFIG": str(path)}, clear=True):
            load_settings()


def fuzz(data: bytes) -> None:
    """Loads altered settings."""
    source = Source(data)
    if not data:
        loaded(yaml.safe_dump(CONTENT), {})
        loaded(yaml.safe_dump(LISTED), {"PHASE5_ENVIRONMENT": "production"})
    content = LISTED if source.chance(2) else CONTENT
    text = yaml.safe_dump(source.changed(content) if source.chance(2) else content)
    text = source.spliced(text, PIECES)
    name = source.one_of(sorted(VARIABLES))
    value = source.spliced(VARIABLES[name], ("[", "{", '"', ",", "\\ud800", "9" * 5000, "inf", "[" * 5000))
    given = (
        {name: value.replace("\x00", "").encode("utf-8", "surrogatepass").decode("utf-8", "replace")} if source.chance(2) else {}
    )
    if content is LISTED:
        given = {"PHASE5_ENVIRONMENT": source.one_of(("production", "production-eu", "elsewhere")), **given}
    try:
        loaded(text, given)
    except ConfigurationError as error:
        assert data, f"the sound settings are refused: {error}"
        assert str(error), "does not say why"
