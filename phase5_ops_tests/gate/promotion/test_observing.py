"""What is deployed is recorded beside what was promoted last: signed, appended where it changed, never in anybody's way."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import dagster as dg
import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS
from phase5_ops.checklist import ROLES
from phase5_ops.commands import status as status_command
from phase5_ops.context import open_run
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.observation import OBSERVATION_TYPE, Agreement, observation_of
from phase5_ops.gate.defs.sensor import run_tick
from phase5_ops.gate.inputs.dagster_records import KeptResults
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.promotion.observing import observe
from phase5_ops.gate.state.items import StateError, Written
from phase5_ops.gate.state.observations import Observations, deployed_pk
from phase5_ops.policy import DeployedPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE
from phase5_ops_tests.gate.people import Desk, begun_once

DENIED = Read("dynamodb:PutItem", "table", ReadStatus.DENIED, "denied", 0, "", "")
OTHER = "sha256:" + "e" * 64


@dataclass
class Platform:
    """What runs, without AWS."""

    digest: str = DIGEST
    code: str = "code-1"
    failed: tuple[str, ...] = ()
    looks: list[None] = field(default_factory=list)

    @property
    def deployed(self):
        self.looks.append(None)
        return {("function", "cc-native-a"): ("1", self.code), ("parameter", "/deployed"): ("3", self.digest)}, self.failed


@pytest.fixture(scope="module")
def one_promotion(tmp_path_factory):
    return begun_once(tmp_path_factory.mktemp("one-promotion"), Desk.promoted)


@pytest.fixture
def desk(aws, tmp_path, one_promotion, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    desk = Desk.on(aws, tmp_path / "state", deployed=DeployedPolicy(digest_parameter="/deployed"))
    one_promotion(desk)
    return desk


def looked(desk: Desk, platform: Platform, minutes: int = 1) -> str | None:
    return observe(desk.open(now=NOW + timedelta(minutes=minutes)), platform)


def recorded(desk: Desk):
    return desk.open().observations.all(RELEASE.environment)


def test_it_is_appended_when_it_changes_and_names_how_it_was_found_out(desk):
    platform = Platform(digest=OTHER)  # the deployment is still under way
    assert "DIFFERENT" in looked(desk, platform)
    platform.digest = DIGEST
    assert "AGREES" in looked(desk, platform, 2)
    assert looked(desk, platform, 3) is None  # nothing has changed
    platform.code = "code-2"  # somebody deployed a function by hand
    assert "AGREES" in looked(desk, platform, 4)
    found, keys = recorded(desk), desk.open().keys
    assert [(each.number, str(each.seen.agreement), each.seen.digest) for each in found] == [
        (1, "DIFFERENT", OTHER),
        (2, "AGREES", DIGEST),
        (3, "AGREES", DIGEST),
    ]
    assert [each.previous for each in found] == ["", found[0].digest, found[1].digest]
    assert [each.problem(keys) for each in found] == [None] * 3
    assert {(each.seen.release, each.seen.series, each.seen.override) for each in found} == {(RELEASE, 1, "")}
    assert found[1].seen.how == f"the parameter /deployed holds {DIGEST}"
    assert found[2].seen.deployed[0] == ("function", "cc-native-a", "1", "code-2")


def test_a_note_of_a_time_to_come_without_a_record_keeps_nothing_from_being_recorded(desk):
    state = desk.open().state
    state.note_promotion(replace(RELEASE, name="r-9.9.9"), 1, NOW + timedelta(days=3650), ())
    assert "AGREES" in looked(desk, Platform())


def test_what_cannot_be_read_or_is_named_nowhere_is_unknown_and_never_agrees(desk):
    assert "UNKNOWN" in looked(desk, Platform(failed=("lambda:ListFunctions ACCESS_DENIED",)))
    desk.settings = desk.settings.model_copy(update={"deployed": DeployedPolicy()})
    assert "UNKNOWN" in looked(desk, Platform(), 2)
    first, second = (each.seen for each in recorded(desk))
    assert (first.agreement, first.digest, first.deployed) == (Agreement.UNKNOWN, "", ())
    assert "lambda:ListFunctions ACCESS_DENIED" in first.how
    assert "PHASE5_DEPLOYED__DIGEST_PARAMETER" in second.how


def test_where_nothing_was_promoted_nothing_is_looked_at(aws, tmp_path):
    desk, platform = Desk.on(aws, tmp_path / "state"), Platform()
    assert looked(desk, platform) is None
    assert platform.looks == []


def test_a_record_that_the_gate_did_not_sign_is_not_observed(desk):
    table = desk.settings.tables.readiness
    item = {"pk": {"S": f"RELEASE#{RELEASE.environment}#{RELEASE.name}"}, "sk": {"S": "PROMOTION#000001"}}
    kept = desk.session.client("dynamodb").get_item(TableName=table, Key=item)["Item"]
    desk.session.client("dynamodb").put_item(TableName=table, Item={**kept, "signature": {"S": "00"}})
    platform = Platform()
    assert "cannot be trusted" in looked(desk, platform)
    assert (recorded(desk), platform.looks) == ([], [])


def test_an_observation_is_never_overwritten_and_a_second_daemon_gives_way(desk):
    looked(desk, Platform())
    (first,) = recorded(desk)
    session = desk.open()
    again = replace(first.seen, digest=OTHER)
    signed = lambda payload: session.signed_by_gate(payload, OBSERVATION_TYPE)  # noqa: E731
    assert session.observations.append(again, None, signed) is Written.REFUSED
    assert recorded(desk) == [first]


def test_what_another_key_signed_is_shown_as_not_verified_and_observed_again(desk):
    platform = Platform()
    looked(desk, platform)
    table, key = desk.settings.tables.readiness, {"pk": {"S": deployed_pk(RELEASE.environment)}, "sk": {"S": "SEEN#000000001"}}
    item = desk.session.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    person = desk.open().signed(ROLES[0], item["payload"]["B"], OBSERVATION_TYPE)
    forged = {**item, "key_id": {"S": person.key_id}, "signature": {"B": person.signature}}
    desk.session.client("dynamodb").put_item(TableName=table, Item=forged)
    (release,) = status_command.releases(desk.settings)
    assert "NOT VERIFIED: observation 1 is not signed by the gate's key" in str(release)
    assert release.problems == ()  # the promotion itself is as good as before
    assert "AGREES" in looked(desk, platform, 2)
    assert len(recorded(desk)) == 2


def test_releases_show_what_was_seen_last_and_all_of_it_as_json(desk):
    looked(desk, Platform(digest=OTHER))
    looked(desk, Platform(), 2)
    history = status_command.releases(desk.settings)
    text = status_command.releases_text(RELEASE.environment, history, 400, 50)
    assert f"; deployed AGREES at 2026-11-23T12:02:00.000Z: the parameter /deployed holds {DIGEST}" in text
    (shown,) = status_command.releases_json(RELEASE.environment, history)["history"]
    assert [each["agreement"] for each in shown["observed"]] == ["DIFFERENT", "AGREES"]


def tick(desk: Desk, kept: KeptResults) -> list[str]:
    with dg.DagsterInstance.ephemeral() as instance:
        session = DecidingSession(open_run(desk.settings, "tick"), at=NOW, instance=instance, kept=kept)
        return [line for line in run_tick(session, None, NOW, WORDS).lines if "deployed" in line]


def test_a_tick_of_the_gate_looks_once_in_five_minutes_and_what_fails_stops_nothing(desk, monkeypatch):
    kept = KeptResults()
    with monkeypatch.context() as patch:
        patch.setattr(Observations, "append", lambda *_: (_ for _ in ()).throw(StateError(DENIED)))
        (line,) = tick(desk, kept)
    assert line.startswith("what is deployed could not be recorded: dynamodb:PutItem")
    assert len(tick(desk, kept)) == 1  # no such parameter: not known
    assert tick(desk, kept) == []
    assert [str(each.seen.agreement) for each in recorded(desk)] == ["UNKNOWN"]


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b'{"schema": "phase5.observation/v2", "number": 1, "previous": ""}'])
def test_what_is_none_or_of_a_newer_version_is_refused(payload):
    with pytest.raises(ValueError, match="not an observation"):
        observation_of(payload, GATE, b"")


def test_the_table_without_an_answer_is_an_error_and_not_no_observation(desk):
    reader = AwsReader(ReadingSettings(max_attempts=1), session=desk.session)
    with pytest.raises(Exception, match="dynamodb:Query"):
        Observations(reader, "no-such-table").newest(RELEASE.environment)
