"""What probing may do: write only under the test tenants' keys, and nothing at all where it is not set up."""

from fnmatch import fnmatchcase

import pytest
from pydantic import SecretStr

from phase5_ops.probing.iam import statements
from phase5_ops.settings import ProbeUser, ProbeUsers, Settings, load_settings

A = ProbeUser(tenant_id="phase5-a", username="a", password=SecretStr("x"))
B = ProbeUser(tenant_id="phase5-b", secret_id="probe/b")
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"}


def leading_keys(statement: dict) -> list[str]:
    """The patterns of partition keys that a statement is limited to."""
    return statement["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]


@pytest.fixture
def settings() -> Settings:
    return load_settings().model_copy(update={"probe_users": ProbeUsers(a=A, b=B), "user_pool_id": "us-west-2_abc"})


def test_every_write_into_a_table_of_the_platform_is_bound_to_the_test_tenants(settings):
    writes = [s for s in statements(settings) if WRITES & {action.partition(":")[2] for action in s["Action"]}]
    of_platform = [s for s in writes if s["Resource"] != [f"arn:*:dynamodb:*:*:table/{settings.tables.readiness}"]]
    assert of_platform
    for statement in of_platform:
        assert statement["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"}
        for key in ("TENANT#acme", "TENANT#acme#ACCOUNT#1", "TENANT#phase5-abc", "TENANT#phase5-abc#ACCOUNT#1", "acme", ""):
            assert not any(fnmatchcase(key, pattern) for pattern in leading_keys(statement))


def test_canaries_are_written_under_both_test_tenants_accounts(settings):
    (canaries,) = [s for s in statements(settings) if s["Sid"] == "ProbeCanaries"]
    for key in ("TENANT#phase5-a#ACCOUNT#1", "TENANT#phase5-b#ACCOUNT#1"):
        assert any(fnmatchcase(key, pattern) for pattern in leading_keys(canaries))
    assert not any(fnmatchcase("TENANT#phase5-a", pattern) for pattern in leading_keys(canaries))


def test_the_ledger_is_written_in_the_partitions_of_the_test_tenants_alone(settings):
    touching = [s for s in statements(settings) if any(settings.tables.ledger in resource for resource in s["Resource"])]
    assert [s["Action"] for s in touching] == [["dynamodb:Query"], ["dynamodb:BatchWriteItem"]]
    assert leading_keys(touching[1]) == ["TENANT#phase5-a", "TENANT#phase5-b"]


def test_only_the_named_pool_and_the_named_secrets_are_reached(settings):
    found = {s["Sid"]: s["Resource"] for s in statements(settings)}
    assert found["ProbeTokens"] == ["arn:*:cognito-idp:*:*:userpool/us-west-2_abc"]
    assert found["ProbeSecrets"] == ["arn:*:secretsmanager:*:*:secret:probe/b-??????"]


@pytest.mark.parametrize("change", [{"probe_mode": "off"}, {"probe_users": ProbeUsers(a=A)}, {"probe_users": ProbeUsers()}])
def test_without_probes_nothing_is_asked_for(settings, change):
    assert statements(settings.model_copy(update=change)) == []
