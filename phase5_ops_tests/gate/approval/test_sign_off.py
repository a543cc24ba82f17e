"""Three roles, three people, one statement: who may sign what, and how it is kept."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.aws.reader import Answer
from phase5_ops.checklist import ALL_CHECKS, ROLES
from phase5_ops.gate.approval.sign_off import as_text, registered, sign_off, signer, to_sign
from phase5_ops.gate.approval.waive import record_waiver
from phase5_ops.gate.attestation.keys import KeysError
from phase5_ops.gate.attestation.readiness_statement import StatementRow
from phase5_ops.gate.records import Waiver
from phase5_ops.gate.session import Refused, open_session
from phase5_ops.gate.signing.caller import who_signs
from phase5_ops.gate.signing.identity import Refusal, SessionIdentity
from phase5_ops.gate.signing.kms import SigningError
from phase5_ops.gate.state.items import Fate, StateError
from phase5_ops.policy import SigningPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ConfigurationError, Tables
from phase5_ops.verdict import Verdict
from phase5_ops_tests.gate.own_aws import NOW, RELEASE, readiness_payload
from phase5_ops_tests.gate.people import Desk

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(aws, tmp_path) -> Desk:
    return Desk.on(aws, tmp_path)


def signs(session, role):
    what = to_sign(session, registered(session, RELEASE.name))
    return sign_off(session, role, what, signer(session, role, what))


def now_missing(session):
    return to_sign(session, registered(session, RELEASE.name)).missing


def test_three_people_sign_with_three_keys(desk):
    desk.ready()
    names = {"eng-reliability": "alice", "ops-sre": "bob@example.com", "security-compliance": "carol"}
    for role, name in names.items():
        session = desk.person(name)
        assert role in now_missing(session)
        stored = signs(session, role)
        assert (stored.identity, stored.role, stored.request_id != "") == (name, role, True)
        assert role not in now_missing(session)
    assert now_missing(desk.open()) == ()
    assert {off.id for off in desk.open().state.sign_offs(RELEASE)} == {
        off.request_id for off in desk.open().state.sign_offs(RELEASE)
    }


def test_one_person_signs_for_one_role_only(desk):
    desk.ready()
    signs(desk.person("alice"), "ops-sre")
    with pytest.raises(Refused, match="alice has signed for ops-sre already"):
        signs(desk.person("ALICE", role="phase5-signer-y"), "security-compliance")
    signs(desk.person("alice"), "ops-sre")
    assert now_missing(desk.open()) == ("eng-reliability", "security-compliance")


def test_nobody_signs_with_credentials_that_name_no_person(desk):
    desk.ready()
    with pytest.raises(Refused, match="not a session of an assumed role"):
        signs(desk.open(), "ops-sre")
    with pytest.raises(Refused, match=r"may be chosen by the caller.*cloudtrail:LookupEvents"):
        signs(desk.person("alice", role="admin"), "ops-sre")


@pytest.mark.parametrize("fate", [Fate.PENDING, Fate.REJECTED, Fate.ABORTED, Fate.SUPERSEDED, Fate.PROMOTED])
def test_only_what_waits_for_signatures_is_signed(desk, fate):
    desk.ready(fate=fate)
    with pytest.raises(Refused, match=f"is {fate}"):
        signs(desk.person("alice"), "ops-sre")


def test_a_release_that_is_not_there_or_has_no_statement_is_not_signed(desk):
    with pytest.raises(Refused, match="no candidate r-1"):
        registered(desk.person("alice"), RELEASE.name)
    candidate = desk.ready()
    with pytest.raises(Refused, match="no readiness statement"):
        to_sign(desk.open(), replace(candidate, series=2))


@pytest.mark.parametrize("signed_by", ROLES)
def test_a_statement_that_the_gate_has_not_signed_is_not_signed(desk, signed_by):
    desk.ready(signed_by=signed_by)
    with pytest.raises(Refused, match="not signed by the gate's key"):
        signs(desk.person("alice"), "ops-sre")


@pytest.mark.parametrize("changes", [{"digest": "sha256:" + "0" * 64}, {"name": "other"}, {"environment": "staging"}])
def test_a_statement_about_something_else_is_not_signed(desk, changes):
    desk.ready(readiness_payload(replace(RELEASE, **changes)))
    with pytest.raises(Refused, match="not about this candidate"):
        signs(desk.person("alice"), "ops-sre")


def test_a_statement_that_is_none_is_not_signed(desk):
    desk.ready(b"{}")
    with pytest.raises(Refused, match="cannot be read"):
        signs(desk.person("alice"), "ops-sre")


def test_an_expired_signature_is_missing_again(desk):
    desk.ready()
    signs(desk.person("alice"), "ops-sre")
    assert "ops-sre" in now_missing(desk.open(now=NOW + timedelta(days=7)))
    signs(desk.person("bob", now=NOW + timedelta(days=7)), "ops-sre")
    assert "ops-sre" not in now_missing(desk.open(now=NOW + timedelta(days=8)))


def test_a_key_that_is_not_believed_does_not_sign(desk):
    desk.ready()
    session = desk.person("alice")
    kms = desk.session.client("kms")
    other = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=desk.settings.signing.ops_sre_key, TargetKeyId=other)
    with pytest.raises(KeysError, match="not the trusted key"):
        signs(session, "ops-sre")
    assert session.state.sign_offs(RELEASE) == []


def test_what_aws_refuses_leaves_nothing_behind_and_can_be_done_again(desk, aws_faults):
    desk.ready()
    for service in ("kms", "dynamodb", "sts"):
        session = desk.person("alice")
        what = to_sign(session, registered(session, RELEASE.name))
        aws_faults.add("denied", service=service)
        with pytest.raises((SigningError, StateError, Refused)):
            sign_off(session, "ops-sre", what, signer(session, "ops-sre", what))
        aws_faults.clear()
        assert session.state.sign_offs(RELEASE) == []
    signs(desk.person("alice"), "ops-sre")
    assert "ops-sre" not in now_missing(desk.open())


def test_a_missing_table_is_no_missing_candidate(desk):
    settings = desk.settings.model_copy(update={"tables": Tables(readiness="phase5-none")})
    with pytest.raises(StateError, match="phase5 init"):
        registered(open_session(settings, "signing", reader=desk.open().reader), RELEASE.name)


def test_a_fixed_clock_does_not_sign_outside_the_sandbox(desk, reader):
    settings = desk.settings.model_copy(update={"now": NOW})
    with pytest.raises(ConfigurationError, match="PHASE5_NOW fixes the clock: signing is refused"):
        open_session(settings, "signing", reader=reader)


def test_the_person_sees_all_that_is_signed_and_nothing_steers_the_terminal(desk):
    loosened = ("slo.error_rate_max is 0.5, shipped 0.01",)
    desk.ready(
        readiness_payload(
            loosened=loosened,
            not_tried=("probe \x1b[2Jx was not sent",),
            url="https://example.com/r",
            context={"pipeline_execution_id": "e-\x1b7"},
        )
    )
    signs(desk.person("alice"), "ops-sre")
    session = desk.open()
    text = as_text(to_sign(session, registered(session, RELEASE.name)))
    judged = sum(not row.is_sign_off for row in ALL_CHECKS)
    for said in (
        RELEASE.digest,
        *loosened,
        r"probe \x1b[2Jx was not sent",
        "https://example.com/r",
        r"execution_id=e-\x1b7, for the target",
        "ops-sre: alice",
        f"{judged} of {judged}",
    ):
        assert said in text
    assert "\x1b" not in text
    assert text.count("missing: signature_missing") == 2


def test_waivers_are_shown_with_their_number_of_releases_and_those_in_vain_are_named(desk):
    row = StatementRow("1.2", "FAIL", opens=True, waived=True, blocking=True, findings=(("alarm_missing", "a", Verdict.FAIL),))
    waiver = Waiver(
        "w-1", "1.2", RELEASE.digest, frozenset({("alarm_missing", "a")}), "known", "OPS-7", NOW, NOW + timedelta(days=1),
        "security-compliance", "carol", RELEASE.environment,
    )  # fmt: skip
    desk.ready(readiness_payload(rows=(row,), waivers=(waiver,), in_a_row={"w-1": 3}))
    session = desk.person("carol")
    for each in (
        waiver,
        replace(waiver, id="w-2", pairs=frozenset({("alarm_missing", "z")})),
        replace(waiver, id="w-3", pairs=frozenset({("alarm_missing", "z")}), until=NOW),  # it ended
    ):
        record_waiver(session, registered(session, RELEASE.name), each)
    text = as_text(to_sign(session, registered(session, RELEASE.name)))
    assert "alarm_missing@a; 3rd release in a row" in text
    assert "waiver w-2 of row 1.2 matches nothing: alarm_missing@z" in text
    assert "w-3" not in text


# --- the source identity, from CloudTrail ------------------------------------------------------------------------------------

ARN = "arn:aws:sts::123456789012:assumed-role/admin/whatever"


class CloudTrailSays:
    """A reader whose STS and CloudTrail answer as AWS documents."""

    access_key_id = "ASIA1"

    def __init__(self, *records, status=ReadStatus.OK, arn=ARN):
        self.records, self.status, self.arn = records, status, arn

    def call(self, service, operation, resource, **params):
        page = {"Arn": self.arn, "Account": "123456789012", "UserId": "AROA:whatever"}
        if service == "cloudtrail":
            assert params["LookupAttributes"] == [{"AttributeKey": "AccessKeyId", "AttributeValue": "ASIA1"}]
            page = {"Events": [{"CloudTrailEvent": each if isinstance(each, str) else json.dumps(each)} for each in self.records]}
        read = Read(
            f"{service}:{operation}", resource, self.status if service == "cloudtrail" else ReadStatus.OK, None, 1, "", ""
        )
        return Answer([page] if read.status is ReadStatus.OK else [], read)


def record(name="Alice@example.com", arn=ARN, key="ASIA1"):
    return {"userIdentity": {"type": "AssumedRole", "arn": arn, "accessKeyId": key, "sessionContext": {"sourceIdentity": name}}}


def test_a_session_is_known_by_its_source_identity():
    found = who_signs(CloudTrailSays(record(), record(), "not json", {"userIdentity": None}), SigningPolicy())
    assert found == SessionIdentity("alice@example.com", ARN, "source identity")


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ((), "no source identity"),
        ((record(""),), "no source identity"),
        ((record(arn=ARN + "x"),), "no source identity"),
        ((record(key="ASIA2"),), "no source identity"),
        ((record(), record("mallory")), "several source identities"),
        ((record("a b"),), "not a source identity"),
    ],
)
def test_a_session_without_one_source_identity_is_nobodys(records, said):
    found = who_signs(CloudTrailSays(*records), SigningPolicy())
    assert isinstance(found, Refusal)
    assert said in found.reason


def test_a_trail_that_cannot_be_read_names_nobody():
    found = who_signs(CloudTrailSays(record(), status=ReadStatus.DENIED), SigningPolicy())
    assert isinstance(found, Refusal)
    assert "denied" in found.reason


def test_cloudtrail_is_not_asked_for_what_is_no_session():
    found = who_signs(CloudTrailSays(record(), arn="arn:aws:iam::123456789012:user/alice"), SigningPolicy())
    assert isinstance(found, Refusal)
