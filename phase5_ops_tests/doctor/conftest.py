"""An installation on a bare AWS, looked at by a role that has a path."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from phase5_ops.doctor.examination import AwsCaller, Examined, Installation
from phase5_ops.gate.inputs.install_check import Checked, InstallOutcome
from phase5_ops_tests.gate.people import Desk

ACCOUNT = "123456789012"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/phase5-daemon/task"

Look = Callable[[Installation], Iterator[Checked]]


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path)


@pytest.fixture
def installation(desk) -> Installation:
    return Installation(desk.settings, AwsCaller(ACCOUNT, SESSION))


def given(installation: Installation, **settings) -> Installation:
    """The same with other settings."""
    return replace(installation, settings=installation.settings.model_copy(update=settings))


def said(found: list[Checked] | Iterator[Checked]) -> dict[InstallOutcome, list[str]]:
    """What was found, by its outcome."""
    by_outcome: dict[InstallOutcome, list[str]] = {}
    for each in found:
        by_outcome.setdefault(each.outcome, []).append(each.text)
    return by_outcome


def of_part(found: list[Examined], part: str) -> list[Checked]:
    return [each.checked for each in found if each.part == part]
