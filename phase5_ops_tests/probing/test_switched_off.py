"""The kill switch of a test tenant is on while the block runs, and afterwards as it was, whatever the block does."""

import boto3
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.probing.switched_off import NotSwitched, switched_off
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import ReadingSettings

TABLE, TENANT, TYPE = "cc-native-tenants", "phase5-canary-a", "CREATE_INTERNAL_TASK"


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox("empty") as running:
        yield running


@pytest.fixture
def session(sandbox, monkeypatch) -> boto3.Session:
    for name, value in sandbox.exports().items():
        monkeypatch.setenv(name, value)
    return sandbox.session()


@pytest.fixture
def table(session: boto3.Session):
    return session.resource("dynamodb").Table(TABLE)


@pytest.fixture
def reader(session: boto3.Session) -> AwsReader:
    return AwsReader(ReadingSettings(max_attempts=1), session=session)


@pytest.mark.parametrize("before", [None, [], ["OTHER"], ["OTHER", TYPE]], ids=str)
def test_the_switch_is_on_within_and_as_it_was_after(reader, table, before):
    item = {"tenantId": TENANT} | ({} if before is None else {"disabled_action_types": before})
    table.put_item(Item=item)
    with switched_off(reader, TABLE, TENANT, TYPE):
        assert TYPE in table.get_item(Key={"tenantId": TENANT})["Item"]["disabled_action_types"]
    assert table.get_item(Key={"tenantId": TENANT})["Item"] == item


def test_it_is_put_back_where_the_block_fails_and_what_others_set_meanwhile_stays(reader, table):
    table.put_item(Item={"tenantId": TENANT})
    with pytest.raises(ZeroDivisionError), switched_off(reader, TABLE, TENANT, TYPE):
        _ = 1 / 0
    assert table.get_item(Key={"tenantId": TENANT})["Item"] == {"tenantId": TENANT}
    with switched_off(reader, TABLE, TENANT, TYPE) as reads:
        table.put_item(Item={"tenantId": TENANT, "disabled_action_types": ["SET_BY_A_PERSON"]})
    assert table.get_item(Key={"tenantId": TENANT})["Item"]["disabled_action_types"] == ["SET_BY_A_PERSON"]
    assert [str(read.status) for read in reads] == ["ok", "ok", "failed"]


@pytest.mark.parametrize("item", [None, {"tenantId": TENANT, "disabled_action_types": "all"}], ids=["no item", "no list"])
def test_what_cannot_be_switched_is_said_and_nothing_is_written(reader, table, item):
    table.delete_item(Key={"tenantId": TENANT})
    if item:
        table.put_item(Item=item)
    with pytest.raises(NotSwitched), switched_off(reader, TABLE, TENANT, TYPE):
        raise AssertionError("the block must not run")
    assert table.get_item(Key={"tenantId": TENANT}).get("Item") == item
