"""The caller, the clock beside that of AWS, and the platform's tables: each fault gives its line."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from phase5_ops.aws.reader import Answer
from phase5_ops.doctor.account import (
    IdentityAnswer,
    ask_who,
    look_at_clock,
    look_at_credentials,
    look_at_platform,
    look_at_settings,
)
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import load_settings
from phase5_ops_tests.doctor.conftest import SESSION, said

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
OK, UNKNOWN, PROBLEM = InstallOutcome.OK, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM


def asked(error=None, status=ReadStatus.DENIED, date=AT, arn=SESSION):
    read = Read("sts:GetCallerIdentity", "caller", ReadStatus.OK if error is None else status, error, 1, "", "")
    header = {"date": format_datetime(date, usegmt=True)} if date else {}
    page = {"Account": "123456789012", "Arn": arn, "ResponseMetadata": {"HTTPHeaders": header}}
    return IdentityAnswer(Answer([] if error else [page], read), AT, AT + timedelta(seconds=1), "us-west-2")


@pytest.mark.parametrize(
    ("offset", "outcome", "words"),
    [
        (0, OK, "differs from that of AWS by 0 s"),
        (59, OK, "by 58 s"),
        (-59, OK, "by 58 s"),
        (-300, PROBLEM, "299 s ahead of"),
        (300, PROBLEM, "299 s behind"),
    ],
)
def test_the_clock_is_compared_with_the_date_of_the_answer(offset, outcome, words):
    (found,) = look_at_clock(asked(date=AT + timedelta(seconds=offset)))
    assert found.outcome is outcome
    assert words in found.text


def test_a_clock_that_cannot_be_compared_is_not_known_and_one_that_aws_refuses_is_wrong():
    assert [each.outcome for each in look_at_clock(asked(date=None))] == [UNKNOWN]
    assert [each.outcome for each in look_at_clock(asked("UNREACHABLE", ReadStatus.UNREACHABLE))] == [UNKNOWN]
    late = asked("SignatureDoesNotMatch: Signature expired: 20261123T110000Z is now earlier than ...", ReadStatus.FAILED)
    assert [each.outcome for each in look_at_clock(late)] == [PROBLEM]
    assert [each.outcome for each in look_at_credentials(late)] == [PROBLEM]


def test_credentials_that_aws_refuses_are_wrong_and_an_aws_that_is_away_is_not_known():
    assert said(look_at_credentials(asked())) == {OK: [f"{SESSION} in region us-west-2"]}
    assert [each.outcome for each in look_at_credentials(asked("InvalidClientTokenId: no"))] == [PROBLEM]
    assert [each.outcome for each in look_at_credentials(asked("no route", ReadStatus.UNREACHABLE))] == [UNKNOWN]
    root = look_at_credentials(asked(arn="arn:aws:iam::123456789012:root"))
    assert [each.outcome for each in root] == [OK, PROBLEM]


def test_aws_is_really_asked(installation, aws_faults):
    real = ask_who(installation)
    assert real.caller.account == "123456789012"
    assert [each.outcome for each in look_at_clock(real)] == [OK]
    aws_faults.add("denied", service="sts")
    assert ask_who(installation).caller is None


def test_a_platform_whose_tables_are_elsewhere_is_said(installation, desk, aws_faults):
    found = said(look_at_platform(installation))
    assert [text.split(" is ")[0] for text in found[PROBLEM]] == ["table cc-native-ledger", "table cc-native-resilience"]
    aws_faults.add("denied", service="dynamodb")
    assert set(said(look_at_platform(installation))) == {UNKNOWN}


def test_a_fixed_clock_is_wrong_in_production_alone(monkeypatch):
    assert set(said(look_at_settings(load_settings()))) == {OK}
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    assert set(said(look_at_settings(load_settings()))) == {OK, PROBLEM}
    monkeypatch.setenv("PHASE5_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    assert set(said(look_at_settings(load_settings()))) == {OK, InstallOutcome.NOTE}
