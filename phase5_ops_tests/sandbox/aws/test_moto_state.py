"""Who ends takes nothing away from who still works with moto's one AWS of the process."""

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.sandbox.server import Sandbox
from phase5_ops_tests.conftest import NOW


@pytest.fixture
def outer(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", NOW)
    with Sandbox("breaker-open") as running:
        yield running


def answers(sandbox):
    """What a few services of it say, corrected ones among them."""
    client = lambda name: sandbox.session().client(name, endpoint_url=sandbox.endpoint)  # noqa: E731
    kms = client("kms")
    month = {"Start": "2026-11-01", "End": "2026-11-02"}
    return (
        client("dynamodb").scan(TableName="cc-native-resilience")["Items"],
        client("cloudwatch").describe_alarms()["MetricAlarms"],
        client("cloudwatch").list_metrics()["Metrics"],
        [
            kms.get_public_key(KeyId=alias["AliasName"])["KeyId"]
            for alias in kms.list_aliases()["Aliases"]
            if "phase5" in str(alias)
        ],
        client("ce").get_cost_and_usage(TimePeriod=month, Granularity="DAILY", Metrics=["UnblendedCost"])["ResultsByTime"],
    )


def test_a_sandbox_that_begins_and_ends_leaves_another_one_as_it_was(outer):
    before = answers(outer)
    assert all(before)
    with Sandbox("healthy") as inner:
        assert answers(inner)[0] != before[0]
    assert answers(outer) == before


def test_a_mock_of_aws_leaves_a_sandbox_as_it_was(outer):
    before = answers(outer)
    with own_aws(), mock_aws():
        client = boto3.client("dynamodb", "us-west-2", aws_access_key_id="x", aws_secret_access_key="x")
        assert client.list_tables()["TableNames"] == []
    assert answers(outer) == before


def test_nothing_of_one_is_there_for_the_next(monkeypatch):
    monkeypatch.setenv("PHASE5_NOW", NOW)
    with Sandbox("healthy"):
        pass
    with Sandbox("empty") as running:
        tables = running.session().client("dynamodb", endpoint_url=running.endpoint)
        assert tables.scan(TableName="cc-native-ledger")["Items"] == []
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            tables.describe_table(TableName="made-by-nobody")
