"""`phase5 history accept`, from a table that was made anew and a history that is gone to a row that passes again.

Dagster has no part in how histories stand: but for the run after the acceptance, rows are gathered, judged and recorded without.
"""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import evidence_for
from phase5_ops.commands.approvals import DONE, REFUSED, UNKNOWN
from phase5_ops.commands.history import run_accept
from phase5_ops.context import open_run
from phase5_ops.evidence.table import GatheredTable
from phase5_ops.gate.approval.history_acceptance import AcceptanceRequest
from phase5_ops.gate.runs.continuity import look_back
from phase5_ops.gate.session import new_session
from phase5_ops.gate.signing.trusted_keys import pin_keys
from phase5_ops.gate.state.run_records import RunRecords
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.run_result.document import LINKS_LEAD_NOWHERE
from phase5_ops.settings import ConfigurationError, load_settings
from phase5_ops_tests.conftest import NOW, clean, run, standing
from phase5_ops_tests.without_dagster import gathered, recorded

pytestmark = pytest.mark.slow(30)

ROWS = ["2.1", "2.2"]
TRAFFIC: dict[str, GatheredTable[Any, Any]] = {}
REQUEST = AcceptanceRequest("ops-sre", "the file system was lost", "OPS-7")


@pytest.fixture(scope="module", autouse=True)
def traffic(tmp_path_factory) -> Iterator[None]:
    """What the rows need of the healthy platform beside the breakers, gathered once: nothing here changes it."""
    with standing("healthy") as sandbox, pytest.MonkeyPatch.context() as patch:
        clean(patch)
        state = {"PHASE5_NOW": NOW, "PHASE5_STATE_DIR": str(tmp_path_factory.mktemp("traffic"))}
        for name, value in {**sandbox.exports(), **state}.items():
            patch.setenv(name, value)
        tables = gathered(open_run(load_settings(), "traffic", look_back), evidence_for(set(ROWS)))
    del tables["breaker_snapshot"]
    TRAFFIC.update(tables)
    yield
    TRAFFIC.clear()


def of_row(row: str):
    return in_document(row, recorded(load_settings(), ROWS, TRAFFIC))


def in_document(row: str, document: ReadinessDocument):
    return next(each for each in document.rows if each.id == row), document


def codes(row: str = "2.2") -> set[str]:
    return {finding.code for finding in of_row(row)[0].findings}


def made_anew(table: str, dynamodb) -> None:
    """The same table once more, with the same items."""
    described = dynamodb.describe_table(TableName=table)["Table"]
    items = dynamodb.scan(TableName=table)["Items"]
    dynamodb.delete_table(TableName=table)
    dynamodb.create_table(
        TableName=table,
        KeySchema=described["KeySchema"],
        AttributeDefinitions=described["AttributeDefinitions"],
        BillingMode="PAY_PER_REQUEST",
    )
    for item in items:
        dynamodb.put_item(TableName=table, Item=item)


@pytest.fixture
def asked() -> list[str]:
    return []


def notices_of(document: ReadinessDocument) -> list[str]:
    """What the run had to say, but for what every run of the sandbox says."""
    assert LINKS_LEAD_NOWHERE in document.notices
    return [notice for notice in document.notices if notice != LINKS_LEAD_NOWHERE]


def test_what_was_lost_closes_the_rows_until_a_person_accepts_exactly_that(start, monkeypatch, capsys, asked):
    sandbox = start("healthy")
    settings = load_settings()
    session = new_session(settings, "phase5 init")
    pin_keys(session.reader, settings, session.state, settings.clock.now())
    dynamodb = sandbox.session().client("dynamodb")
    given = (
        sandbox.session()
        .client("sts")
        .assume_role(RoleArn="arn:aws:iam::123456789012:role/phase5-signer-x", RoleSessionName="alice")["Credentials"]
    )

    def confirm(question: str) -> bool:
        asked.append(question)
        return "no" not in asked

    def accept(request: AcceptanceRequest = REQUEST, run_id: str | None = None) -> int:
        with monkeypatch.context() as person:
            person.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
            person.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
            person.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
            return run_accept(load_settings(), run_id, request, confirm)

    assert accept() == REFUSED  # there is no run yet
    assert codes() == set()
    assert accept() == REFUSED
    assert "there, every history continues the earlier ones" in capsys.readouterr().err

    (settings.state_dir / "history.sqlite").unlink()
    made_anew("cc-native-resilience", dynamodb)
    row, document = of_row("2.2")
    assert (row.verdict, {f.code for f in row.findings}) == ("INCONCLUSIVE", {"history_starts_anew", "table_made_anew"})
    assert of_row("2.1")[0].verdict == "INCONCLUSIVE"
    asked.append("no")
    assert (accept(run_id=document.run_id), "nothing was accepted" in capsys.readouterr().err) == (REFUSED, True)
    asked.remove("no")
    assert accept(AcceptanceRequest("ops-sre", " ", "OPS-7")) == REFUSED
    assert codes() == {"history_starts_anew", "table_made_anew"}
    with pytest.raises(ConfigurationError, match="--role"):
        accept(AcceptanceRequest("gate", "x", "y"))
    sandbox.faults.add(operation="Sign", kind="denied")
    assert accept() == UNKNOWN
    sandbox.faults.clear()

    assert accept() == DONE
    said = capsys.readouterr().out
    assert all(text in said for text in ("history_starts_anew history.sqlite", "table_made_anew table:resilience", "OPS-7"))
    assert "as alice" in asked[-1]
    row, document = in_document("2.2", run(rows=ROWS))
    assert (row.verdict, row.findings) == ("PASS", [])
    assert row.facts["history_accepted"].startswith("accepted by alice for ops-sre at ")
    assert row.facts["history_accepted"].endswith(": the file system was lost (OPS-7)")
    assert notices_of(document) == []
    (newest, *_) = RunRecords(AwsReader(settings.reading), settings.tables.readiness).newest_first("sandbox")
    assert (newest.found.run_id, newest.found.standing.breaks, bool(newest.signature)) == (document.run_id, (), True)

    (settings.state_dir / "history.sqlite").unlink()  # once more: it was not accepted for good
    assert codes() == {"history_starts_anew"}


def test_a_state_table_that_cannot_be_used_is_a_notice_unless_nothing_tells_how_histories_stood(start):
    sandbox = start("healthy")
    sandbox.faults.add(operation="PutItem", kind="denied", match="RUNS#")
    row, document = of_row("2.2")
    assert row.verdict == "PASS"
    (notice,) = notices_of(document)
    assert "not recorded in the state table" in notice
    assert "PutItem" in notice
    sandbox.faults.add(operation="Query", kind="denied", match="RUNS#")
    row, document = of_row("2.2")
    assert (row.verdict, len(notices_of(document))) == ("PASS", 2)  # the evidence of the run before tells
    folder = load_settings().state_dir
    for path in folder.glob("evidence/*/histories.json"):
        path.unlink()
    assert codes() == {"history_unconfirmed"}
    assert codes() == {"history_unconfirmed"}  # and what that run left does not tell either
    sandbox.faults.clear()
    assert codes() == set()


def test_without_a_state_table_histories_are_held_against_the_evidence_that_is_left(start):
    sandbox = start("healthy")
    dynamodb = boto3.client("dynamodb", endpoint_url=sandbox.endpoint)
    dynamodb.delete_table(TableName="phase5-readiness")
    row, document = of_row("2.2")
    assert (row.verdict, any("phase5 init" in notice for notice in document.notices)) == ("PASS", True)
    assert codes() == set()
    (load_settings().state_dir / "history.sqlite").unlink()
    assert codes() == {"history_starts_anew"}
    assert codes() == {"history_starts_anew"}


def test_another_sandbox_with_the_same_state_folder_is_another_platform(start):
    start("healthy")
    assert codes() == set()
    start("healthy")
    assert codes() == set()


def test_a_state_table_that_was_made_anew_or_emptied_is_named(start):
    sandbox = start("healthy")
    dynamodb = sandbox.session().client("dynamodb")
    assert (codes(), codes()) == (set(), set())
    for item in dynamodb.scan(TableName="phase5-readiness")["Items"]:
        if item["pk"]["S"] == "RUNS#sandbox":
            dynamodb.delete_item(TableName="phase5-readiness", Key={name: item[name] for name in ("pk", "sk")})
    assert codes() == {"run_records_gone"}
    made_anew("phase5-readiness", dynamodb)
    assert codes() == {"run_records_gone", "table_made_anew"}
