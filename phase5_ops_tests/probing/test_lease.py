"""One run probes at a time, not too often, and in doubt not at all; on a DynamoDB."""

import boto3
import pytest
from moto import mock_aws

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.state.setup import initialise
from phase5_ops.policy import ProbePolicy
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.lease import ProbesPartition, acquire, held
from phase5_ops.sandbox.aws.moto_state import own_aws
from phase5_ops.settings import ConfigurationError, ReadingSettings

TABLE = "phase5-readiness"
PLACE = ProbesPartition(TABLE, "PROBES")
POLICY = ProbePolicy(runs_per_hour=3)
NOON = 1_795_435_200.0


@pytest.fixture
def reader(monkeypatch):
    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "us-west-2"}.items():
        monkeypatch.setenv(name, value)
    with own_aws(), mock_aws():
        made = AwsReader(ReadingSettings(max_attempts=1), session=boto3.Session(region_name="us-west-2"))
        list(initialise(made, TABLE, sleep=lambda _: None))
        yield made


def take(reader, holder, at=NOON, policy=POLICY):
    return acquire(reader, PLACE, holder, policy, wall=lambda: at)[0]


def refusal(reader, holder, at=NOON, policy=POLICY, table=TABLE):
    with pytest.raises(Obstructed) as caught:
        acquire(reader, ProbesPartition(table, "PROBES"), holder, policy, wall=lambda: at)
    return caught.value.obstacle


def test_a_second_run_is_told_who_is_probing(reader):
    take(reader, "run-1")
    obstacle = refusal(reader, "run-2")
    assert obstacle.code == "probe_lease_held"
    assert "run-1" in obstacle.seen


def test_a_lease_given_back_is_free(reader):
    take(reader, "run-1").release()
    assert take(reader, "run-2").holder == "run-2"


def test_a_lease_is_taken_over_only_once_it_has_expired(reader):
    take(reader, "run-1")
    assert refusal(reader, "run-2", NOON + POLICY.lease_seconds - 1).code == "probe_lease_held"
    assert take(reader, "run-2", NOON + POLICY.lease_seconds + 1).holder == "run-2"


def test_who_lost_its_lease_cannot_give_back_the_next_ones(reader):
    first = take(reader, "run-1")
    take(reader, "run-2", NOON + POLICY.lease_seconds + 1)
    first.release()
    assert refusal(reader, "run-3", NOON + POLICY.lease_seconds + 2).code == "probe_lease_held"


def test_a_holder_knows_how_long_it_may_still_probe(reader):
    assert take(reader, "run-1").remaining() == POLICY.lease_seconds


def test_runs_are_limited_by_the_hour_and_a_refused_one_keeps_no_lease(reader):
    for number in range(POLICY.runs_per_hour):
        take(reader, f"run-{number}").release()
    assert refusal(reader, "run-9").code == "probe_rate_limited"
    assert take(reader, "run-10", NOON + 3600).holder == "run-10"


def test_of_two_runs_that_both_saw_it_free_one_gets_it(reader, monkeypatch):
    call = reader.call

    def racing(service, operation, resource, **params):
        if operation == "put_item":
            monkeypatch.setattr(reader, "call", call)
            take(reader, "run-1")
        return call(service, operation, resource, **params)

    monkeypatch.setattr(reader, "call", racing)
    assert refusal(reader, "run-2").code == "probe_lease_held"


def test_without_the_table_nothing_is_sent_and_the_remedy_is_named(reader):
    obstacle = refusal(reader, "run-1", table="no-such-table")
    assert obstacle.code == "probe_state_unavailable"
    assert "phase5 init" in obstacle.seen
    assert obstacle.as_finding().verdict == "ERROR"


def test_init_says_what_it_did_and_changes_nothing_the_second_time(reader):
    lines = list(initialise(reader, "another-table", sleep=lambda _: None))
    assert lines[0].startswith("created table another-table")
    assert list(initialise(reader, "another-table", sleep=lambda _: None)) == [
        "table another-table is there",
        "point-in-time recovery is on",
        "expiry of old counters is on",
    ]
    described = reader.call("dynamodb", "describe_table", "another-table", TableName="another-table").pages[0]["Table"]
    assert described["DeletionProtectionEnabled"] is True
    assert described["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"


def test_init_leaves_a_table_with_other_keys_alone(reader):
    reader.call(
        "dynamodb",
        "create_table",
        "odd",
        TableName="odd",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    with pytest.raises(ConfigurationError, match="other keys"):
        list(initialise(reader, "odd"))


def test_parts_of_one_run_share_its_lease_and_count_as_one_run(reader):
    first, second = (acquire(reader, PLACE, "run-1", POLICY, user=user, wall=lambda: NOON)[0] for user in ("replay", "isolation"))
    first.release()
    assert refusal(reader, "run-2").code == "probe_lease_held"
    second.release()
    assert take(reader, "run-2").holder == "run-2"
    counter = {"pk": {"S": "PROBES"}, "sk": {"S": "RUNS#2026-11-23T12"}}
    item = reader.call("dynamodb", "get_item", TABLE, TableName=TABLE, Key=counter).pages[0]["Item"]
    assert item["runs"]["N"] == "2"


def test_a_part_that_comes_after_the_lease_was_given_back_is_still_the_same_run(reader):
    policy = ProbePolicy(runs_per_hour=1)
    for user in ("replay", "isolation"):
        acquire(reader, PLACE, "run-1", policy, user=user, wall=lambda: NOON)[0].release()
    assert refusal(reader, "run-2", policy=policy).code == "probe_rate_limited"


def test_users_of_an_expired_lease_do_not_keep_the_next_holder_from_ending_its_own(reader):
    acquire(reader, PLACE, "run-1", POLICY, user="replay", wall=lambda: NOON)
    take(reader, "run-2", NOON + POLICY.lease_seconds + 1).release()
    assert take(reader, "run-3", NOON + POLICY.lease_seconds + 2).holder == "run-3"


def test_environments_that_have_one_table_together_wait_for_nobody_but_themselves(reader):
    eu, us = (ProbesPartition(TABLE, f"PROBES#{name}") for name in ("eu", "us"))
    first = acquire(reader, eu, "run-1", POLICY, wall=lambda: NOON)[0]
    other = acquire(reader, us, "run-2", POLICY, wall=lambda: NOON)[0]
    with pytest.raises(Obstructed):
        acquire(reader, eu, "run-3", POLICY, wall=lambda: NOON)
    first.release()
    assert [held(reader, place, run) for place, run in ((eu, "run-1"), (us, "run-2"))] == [False, True]
    assert other.expires_at == NOON + POLICY.lease_seconds
