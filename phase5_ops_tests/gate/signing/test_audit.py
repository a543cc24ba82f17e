"""A signature is matched with CloudTrail's record of the very call that made it, or it is said what differs or is missing."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.stub import Stubber

from phase5_ops.aws.pace import Pace
from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.commands.audit_signatures import Audit, as_json, as_text, audit
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.signing.audit import Audited, Claim, Match, Period, exit_code, judge, period_of
from phase5_ops.gate.signing.cloudtrail import IAM_ACTIONS, read_sign_events
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import TRUSTED, Desk
from phase5_ops_tests.report.test_terminal import HOSTILE, RUNBOOK, WIDTHS, too_wide_or_steering

pytestmark = pytest.mark.slow

KEY = "arn:aws:kms:us-west-2:123456789012:key/0987dcba-09fe-87dc-65ba-ab0987654321"
SESSION = "arn:aws:sts::123456789012:assumed-role/phase5-signer-x/alice"
CLAIM = Claim("ops-sre", KEY, SESSION, "alice", "8d0b35e0-46cf-48b9-be99-bf2ebc9ab9fb", NOW, "ops-sre", KEY)
LATER = NOW + timedelta(hours=2)


def event(claim: Claim = CLAIM, **changes) -> dict:
    """The record as https://docs.aws.amazon.com/kms/latest/developerguide/ct-sign.html shows it, of an assumed role's session."""
    content = {
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:" + claim.session.rpartition("/")[2],
            "arn": claim.session,
            "accountId": "123456789012",
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": {"sessionIssuer": {"type": "Role"}, "attributes": {"mfaAuthenticated": "false"}},
        },
        "eventTime": "2026-11-23T12:00:01Z",
        "eventSource": "kms.amazonaws.com",
        "eventName": "Sign",
        "awsRegion": "us-west-2",
        "requestParameters": {"messageType": "DIGEST", "keyId": claim.kms_key, "signingAlgorithm": "ECDSA_SHA_256"},
        "responseElements": None,
        "requestID": claim.request_id,
        "eventID": "107b3cac-b125-4556-9702-12a2b9afcff7",
        "readOnly": True,
        "resources": [{"accountId": "123456789012", "type": "AWS::KMS::Key", "ARN": claim.kms_key}],
        "eventType": "AwsApiCall",
    }
    return {**content, **changes}


def entries(*events) -> list[dict]:
    """As LookupEvents gives them."""
    return [{"EventName": "Sign", "CloudTrailEvent": each if isinstance(each, str) else json.dumps(each)} for each in events]


def read(status: ReadStatus = ReadStatus.OK) -> Read:
    return Read("cloudtrail:LookupEvents", "Sign", status, None if status is ReadStatus.OK else "why", 1, "", "")


def judged(*events, claim=CLAIM, status=ReadStatus.OK, trusted=(TRUSTED,), now=LATER):
    return judge(claim, entries(*events), read(status), trusted_roles=trusted, now=now)


def as_user(**changes) -> dict:
    return event(userIdentity={**event()["userIdentity"], **changes})


def with_source(name: str) -> dict:
    return as_user(sessionContext={"sourceIdentity": name})


def test_the_record_of_the_same_request_matches():
    found = judged(event(requestID="another"), event())
    assert (found.match, found.settled, found.why, found.event_id) == (Match.MATCHED, True, (), event()["eventID"])
    assert exit_code([found]) == 0


def test_a_person_known_by_source_identity_matches_whatever_the_sessions_name():
    assert judged(with_source("Alice"), trusted=()).match is Match.MATCHED
    assert judged(event(), trusted=()).match is Match.DIFFERENT


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (event(eventSource="s3.amazonaws.com"), "the call is Sign of s3.amazonaws.com"),
        (event(eventName="Verify"), "the call is Verify of"),
        (event(errorCode="AccessDenied"), "the call failed: AccessDenied"),
        (event(resources=[{"ARN": KEY[:-1] + "2"}]), "the call used the key"),
        (event(resources=None, requestParameters={**event()["requestParameters"], "keyId": "other"}), "the key other"),
        (event(requestParameters={**event()["requestParameters"], "signingAlgorithm": "ECDSA_SHA_384"}), "with ECDSA_SHA_384"),
        (event(requestParameters=None), "signed with None"),
        (as_user(arn=SESSION.replace("alice", "mallory")), "the call was made by arn:"),
        (as_user(principalId="AROAEXAMPLE:mallory"), "nobody known (the caller's identity does not fit together"),
        (event(userIdentity=None), "the call was made by None"),
    ],
    ids=["service", "call", "failed", "key", "key id", "algorithm", "no parameters", "session", "principal", "nobody"],
)
def test_what_differs_is_named(record, why):
    found = judged(record)
    assert (found.match, found.settled) == (Match.DIFFERENT, True)
    assert any(why in each for each in found.why), found.why
    assert exit_code([found]) == 1


def test_another_person_than_the_session_names_differs():
    found = judged(event(), claim=replace(CLAIM, identity="bob"))
    assert found.why == ("the call was made by alice, the table says bob",)
    found = judged(with_source("carol"), claim=replace(CLAIM, identity="bob"))
    assert found.why == ("the call was made by alice or carol, the table says bob",)


def test_the_key_id_stands_for_the_key_where_the_record_names_no_resource():
    parameters = {**event()["requestParameters"], "keyId": KEY.rpartition("/")[2]}
    assert judged(event(resources=[], requestParameters=parameters)).match is Match.MATCHED


def test_of_two_records_of_one_call_the_one_that_fits_counts():
    assert judged(event(eventSource="x"), event()).match is Match.MATCHED


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key_role": None}, "no trusted key made it"),
        ({"key_role": "eng-reliability"}, "the key of eng-reliability made it"),
        ({"key_arn": KEY[:-1] + "2"}, "the table says"),
        ({"kms_key": "alias/phase5-ops-sre"}, "not the ARN of a key"),
    ],
)
def test_a_signature_that_is_not_the_roles_differs_whatever_cloudtrail_says(changes, why):
    claim = replace(CLAIM, **changes)
    found = judged(event(claim), claim=claim)
    assert found.match is Match.DIFFERENT
    assert any(why in each for each in found.why)


@pytest.mark.parametrize(
    ("claim", "now", "settled", "why"),
    [
        (CLAIM, NOW + timedelta(minutes=5), False, "run the command again then"),
        (CLAIM, NOW + timedelta(minutes=34), False, "run the command again then"),
        (CLAIM, NOW + timedelta(minutes=36), True, "no Sign call of request 8d0b35e0"),
        (CLAIM, NOW + timedelta(days=89), True, "no Sign call"),
        (CLAIM, NOW + timedelta(days=90), False, "goes back 90 days"),
        (CLAIM, NOW - timedelta(hours=1), True, "from the future"),
        (replace(CLAIM, request_id=""), LATER, True, "no KMS request id"),
    ],
    ids=["just now", "not yet", "absent", "old and absent", "too old", "future", "no request"],
)
def test_a_signature_without_a_record_says_whether_there_must_be_one(claim, now, settled, why):
    found = judged(event(requestID="another"), event(requestID=""), claim=claim, now=now)
    assert (found.match, found.settled) == (Match.NOT_FOUND, settled)
    assert why in found.why[0]
    assert exit_code([found]) == (1 if settled else 2)


def test_what_cannot_be_read_is_not_taken_for_absent():
    assert judged(status=ReadStatus.DENIED).why == ("cloudtrail:LookupEvents Sign: denied: why",)
    assert judged(event(), status=ReadStatus.THROTTLED).match is Match.MATCHED
    assert judged("no json", status=ReadStatus.OK).why == ("1 records cannot be read",)
    assert judged("no json", event()).match is Match.MATCHED
    assert judged(event(), claim=replace(CLAIM, key_arn=None)).match is Match.UNREADABLE
    assert exit_code([judged(event()), judged(status=ReadStatus.DENIED)]) == 2


def test_nothing_signed_is_not_known():
    assert exit_code([]) == 2


def test_what_is_of_no_use_to_look_for_is_not_asked():
    assert period_of(CLAIM, LATER) == Period(NOW - timedelta(minutes=10), NOW + timedelta(minutes=20))
    assert period_of(CLAIM, NOW + timedelta(minutes=1)).end == NOW + timedelta(minutes=1)
    assert isinstance(period_of(CLAIM, NOW + timedelta(days=91)), str)
    assert isinstance(period_of(CLAIM, NOW - timedelta(days=1)), str)


# --- the reader --------------------------------------------------------------------------------------------------------------


class Counting(Pace):
    def __init__(self):
        super().__init__(1000)
        self.waited = 0

    def wait(self):
        self.waited += 1


def test_all_pages_are_looked_up_in_the_keys_own_region_at_a_pace(aws):
    reader, pace = AwsReader(ReadingSettings(max_attempts=1), session=aws), Counting()
    period = Period(NOW, NOW + timedelta(minutes=20))
    asked = {
        "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Sign"}],
        "StartTime": period.start,
        "EndTime": period.end,
    }
    with Stubber(reader.client("cloudtrail", "eu-west-1")) as stub:
        stub.add_response("lookup_events", {"Events": entries(event(requestID="1")), "NextToken": "t"}, asked)
        stub.add_response("lookup_events", {"Events": entries(event())}, {**asked, "NextToken": "t"})
        answer = read_sign_events(reader, "eu-west-1", period, pace)
        stub.assert_no_pending_responses()
    assert (answer.read.operation, answer.read.status, len(answer.items("Events"))) == (*IAM_ACTIONS, ReadStatus.OK, 2)
    assert pace.waited >= 2


def test_a_refused_lookup_is_a_failed_read(aws):
    reader = AwsReader(ReadingSettings(max_attempts=1), session=aws)
    with Stubber(reader.client("cloudtrail", None)) as stub:
        stub.add_client_error("lookup_events", "AccessDeniedException", "not allowed")
        answer = read_sign_events(reader, None, Period(NOW, LATER), Counting())
    assert answer.read.status is ReadStatus.DENIED


# --- the command -------------------------------------------------------------------------------------------------------------


class Trail:
    """A reader with the Sign calls that CloudTrail knows, and AWS behind it for everything else."""

    def __init__(self, reader: AwsReader, *records, status=ReadStatus.OK):
        self._reader, self._records, self._status = reader, records, status
        self.asked: list[str | None] = []

    def __getattr__(self, name):
        return getattr(self._reader, name)

    def paginate(self, service, operation, resource, **params):
        if service != "cloudtrail":
            return self._reader.paginate(service, operation, resource, **params)
        self.asked.append(params["region"])
        found = [each for each in self._records if params["StartTime"] <= NOW <= params["EndTime"]]
        return Answer([{"Events": entries(*found)}], read(self._status))


@pytest.fixture
def signed(aws, tmp_path) -> Desk:
    """A release that three people signed."""
    desk = Desk.on(aws, tmp_path)
    desk.ready()
    for role, name in zip(ROLES, ("alice", "bob", "carol"), strict=True):
        session = desk.person(name)
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
    return desk


def records_of(desk: Desk) -> list[dict]:
    return [
        event(replace(CLAIM, kms_key=off.kms_key, session=off.session, request_id=off.request_id))
        for off in desk.open().state.sign_offs(RELEASE)
    ]


def audited(desk: Desk, *records, now=LATER, **changes):
    session = desk.open(now=now)
    trail = Trail(session.reader, *records, **changes)
    return audit(replace(session, run=replace(session.run, reader=trail)), RELEASE), trail


def test_every_signature_of_a_release_is_matched(signed):
    found, trail = audited(signed, *records_of(signed))
    assert [each.why for each in found.found] == [()] * 3
    assert [(each.claim.role, each.match) for each in found.found] == [(role, Match.MATCHED) for role in sorted(ROLES)]
    assert (found.exit_code, trail.asked) == (0, ["us-west-2"] * 3)
    assert as_text(found, 120).splitlines()[0].startswith("MATCHED     eng-reliability: alice at ")
    assert {each["event_id"] for each in json.loads(as_json(found))["signatures"]} == {event()["eventID"]}


@pytest.mark.parametrize("width", WIDTHS)
def test_no_line_is_wider_than_the_width_whatever_the_table_says(width):
    hostile = replace(CLAIM, role=HOSTILE, identity=HOSTILE, request_id=HOSTILE)
    why = (f"the call was made by {HOSTILE}", f"look at {RUNBOOK}")
    found = (Audited(hostile, Match.DIFFERENT, settled=True, why=why), Audited(CLAIM, Match.MATCHED, settled=True))
    text = as_text(Audit(RELEASE, found), width)
    assert too_wide_or_steering(text, width) == []
    assert RUNBOOK in text.split()
    lines = text.splitlines()
    assert [line.split()[0] for line in lines if line[0] != " "] == ["DIFFERENT", "MATCHED"]
    assert {line[:14] for line in lines if line[:12].isspace() and line[12] == "-"} == {" " * 12 + "- "}
    nothing = as_text(Audit(replace(RELEASE, name="n" * 128), ()), width)
    assert too_wide_or_steering(nothing, width) == []


def test_a_name_written_into_the_table_by_hand_is_found_out(signed):
    """Who may write to the table can name any person; the signature verifies all the same, CloudTrail knows better."""
    table = signed.session.resource("dynamodb").Table(signed.settings.tables.readiness)
    (item,) = (each for each in table.scan()["Items"] if each["sk"].startswith("SIGN_OFF#ops-sre"))
    table.put_item(Item={**item, "identity": "mallory\x1b[2K"})
    found, _ = audited(signed, *records_of(signed))
    assert [(each.claim.role, each.match) for each in found.found if each.match is not Match.MATCHED] == [
        ("ops-sre", Match.DIFFERENT)
    ]
    assert found.exit_code == 1
    assert "the call was made by bob, the table says mallory" in as_text(found, 120)
    assert "\x1b" not in as_text(found, 120) + as_json(found)


def test_a_signature_made_to_look_younger_is_found_out(signed):
    """When it was signed stands in the table alone; the call was days before."""
    table = signed.session.resource("dynamodb").Table(signed.settings.tables.readiness)
    (item,) = (each for each in table.scan()["Items"] if each["sk"].startswith("SIGN_OFF#ops-sre"))
    table.put_item(Item={**item, "signed_at": "2026-11-28T12:00:00.000Z"})
    found, _ = audited(signed, *records_of(signed), now=NOW + timedelta(days=6))
    (younger,) = [each for each in found.found if each.match is not Match.MATCHED]
    assert (younger.claim.role, younger.match, younger.settled, found.exit_code) == ("ops-sre", Match.NOT_FOUND, True, 1)


def test_a_signature_that_nobody_made_is_found_out(signed):
    """Another role's signature, entered for ops-sre: its request is known, and not its key."""
    state = signed.open().state
    other = next(off for off in state.sign_offs(RELEASE) if off.role == "security-compliance")
    state.add_sign_off(RELEASE, replace(other, role="ops-sre", id="forged"))
    found, _ = audited(signed, *records_of(signed))
    (forged,) = [each for each in found.found if each.match is not Match.MATCHED]
    assert forged.why == ("the key of security-compliance made it over a statement of the release",)
    assert found.exit_code == 1


def test_an_old_release_is_not_looked_up(signed):
    found, trail = audited(signed, now=NOW + timedelta(days=100))
    assert (found.exit_code, trail.asked) == (2, [])
    assert {each.match for each in found.found} == {Match.NOT_FOUND}


@pytest.fixture
def phase5(signed, monkeypatch, capsys):
    """The command in the desk's account, whose CloudTrail answers LookupEvents with an error, as moto's does."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    monkeypatch.setenv("PHASE5_ENVIRONMENT", RELEASE.environment)
    monkeypatch.setenv("PHASE5_TABLES__READINESS", signed.settings.tables.readiness)
    monkeypatch.setenv("PHASE5_STATE_DIR", str(signed.settings.state_dir))
    monkeypatch.setenv("PHASE5_READING__MAX_ATTEMPTS", "1")

    def command(*arguments):
        monkeypatch.setattr("sys.argv", ["phase5", "audit-signatures", *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out = capsys.readouterr()
        return end.value.code, out.out, out.err

    return command


def test_the_command_says_what_it_does_not_know_and_exits_so(phase5, aws_faults, monkeypatch):
    code, out, _ = phase5(RELEASE.name, "--format", "json")
    assert code == 2
    monkeypatch.setenv("COLUMNS", "60")
    assert too_wide_or_steering(phase5(RELEASE.name)[1].rstrip("\n"), 60) == []
    assert {each["match"] for each in json.loads(out)["signatures"]} <= {"UNREADABLE", "NOT_FOUND"}
    assert phase5("another")[:2] == (2, f"nothing is signed for another in {RELEASE.environment}\n")
    assert phase5("../x")[0] == 3
    assert phase5(RELEASE.name, "--format", "xml")[0] == 3
    aws_faults.add("denied", service="dynamodb")
    code, out, err = phase5(RELEASE.name)
    assert (code, out) == (2, "")
    assert "nothing is known" in err
