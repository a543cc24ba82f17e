"""A settings file that lists environments, for tests of what they do in one Dagster instance."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

#: In different accounts and regions, and two whose names differ in one character.
ENVIRONMENTS: tuple[Mapping[str, Any], ...] = (
    {
        "environment": "production-eu",
        "aws": {"region": "eu-central-1", "role_arn": "arn:aws:iam::222222222222:role/phase5-readiness"},
    },
    {
        "environment": "production-us",
        "aws": {"region": "us-west-2", "role_arn": "arn:aws:iam::333333333333:role/phase5-readiness"},
    },
    {"environment": "staging", "aws": {"region": "us-west-2"}, "non_production_environments": ["staging"]},
)
NAMES = tuple(str(each["environment"]) for each in ENVIRONMENTS)


def list_environments(
    patch: pytest.MonkeyPatch, folder: Path, entries: tuple[Mapping[str, Any], ...] = ENVIRONMENTS, **further: object
) -> Path:
    """Has PHASE5_CONFIG name a file with these entries, each with the further settings; the state folder is in the folder."""
    path = folder / "environments.yaml"
    path.write_text(yaml.safe_dump([{**further, **each} for each in entries]), encoding="utf-8")
    patch.setenv("PHASE5_CONFIG", str(path))
    patch.setenv("PHASE5_STATE_DIR", str(folder / "state"))
    return path
