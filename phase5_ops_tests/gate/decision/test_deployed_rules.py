"""Evidence counts only if what ran stayed the same, is what runs now, and where it must be, is the candidate."""

from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest
from pydantic import ValidationError

from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.decision.deployed_rules import (
    DEPLOYED_IDENTITY,
    END,
    START,
    DeployedIdentity,
    DeployedThing,
    present_problems,
    recorded_problems,
)
from phase5_ops.gate.inputs.present_platform import PresentPlatform, recorded_identity
from phase5_ops.gate.inputs.read import DecidingSession, read_inputs
from phase5_ops.gate.records import ReadinessRun, RunFacts, RunState
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.policy import DeployedPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

FREE = DeployedPolicy()
BOUND = DeployedPolicy(digest_parameter="/deployed", must_be_candidate=True)
FUNCTION, PARAMETER = ("function", "cc-native-a", "$LATEST", "c1"), ("parameter", "/deployed", "1", DIGEST)


def table(start=(FUNCTION,), end=(FUNCTION,), status=ReadStatus.OK) -> DeployedIdentity:
    rows = [DeployedThing(START, *each) for each in start] + [DeployedThing(END, *each) for each in end]
    read = Read("lambda:ListFunctions", "all functions", status, None, 1, "", "")
    return DEPLOYED_IDENTITY.gathered(rows, NoFacts()).with_reads([read], NOW)


def said(reasons) -> list[tuple[str, str, str]]:
    return [(reason.state, reason.code, reason.subject) for reason in reasons]


def test_what_stayed_the_same_says_nothing_against_the_evidence():
    assert recorded_problems(table(), RELEASE, FREE) == ()


@pytest.mark.parametrize(
    "end",
    [
        (("function", "cc-native-a", "$LATEST", "c2"),),
        (("function", "cc-native-a", "2", "c1"),),
        (FUNCTION, ("function", "b", "1", "c")),
    ],
    ids=["code", "version", "a function more"],
)
def test_what_changed_during_the_run_decides_nothing(end):
    [(state, code, _)] = said(recorded_problems(table(end=end), RELEASE, FREE))
    assert (state, code) == ("INCONCLUSIVE", "platform_changed_during_run")


@pytest.mark.parametrize(
    "recorded",
    [None, table((), ()), table(end=()), table(status=ReadStatus.DENIED)],
    ids=["no table", "no function", "no end", "denied"],
)
def test_what_was_not_recorded_is_not_taken_for_unchanged(recorded):
    [(state, code, _)] = said(recorded_problems(recorded, RELEASE, FREE))
    assert (state, code) == ("ERROR", "deployed_identity_unknown")


def test_a_table_without_its_reads_is_not_believed():
    bare = replace(table(), reads=())
    assert said(recorded_problems(bare, RELEASE, FREE))[0][1] == "deployed_identity_unknown"


@pytest.mark.parametrize(
    "parameter", [None, ("parameter", "/deployed", "1", "sha256:" + "0" * 64), ("parameter", "/x", "1", DIGEST)]
)
def test_where_the_candidate_must_run_anything_else_fails(parameter):
    ran = (FUNCTION, parameter) if parameter else (FUNCTION,)
    assert said(recorded_problems(table(ran, ran), RELEASE, BOUND)) == [("FAIL", "evidence_not_about_candidate", "/deployed")]
    assert recorded_problems(table(ran, ran), RELEASE, FREE) == ()


def test_the_candidate_itself_does_not_fail():
    ran = (FUNCTION, PARAMETER)
    assert recorded_problems(table(ran, ran), RELEASE, BOUND) == ()


def test_a_deployment_since_the_run_closes_and_so_does_what_cannot_be_read():
    now = {("function", "cc-native-a"): ("$LATEST", "c2")}
    assert said(present_problems(table(), now, [])) == [("INCONCLUSIVE", "platform_changed_since_evidence", "cc-native-a")]
    assert said(present_problems(table(), {}, ["lambda:ListFunctions: denied"])) == [
        ("ERROR", "deployed_identity_unknown", "now")
    ]
    assert present_problems(table(), {("function", "cc-native-a"): ("$LATEST", "c1")}, []) == ()


def test_the_digest_must_stand_somewhere():
    with pytest.raises(ValidationError, match="digest_parameter"):
        DeployedPolicy(must_be_candidate=True)


def test_stored_and_present_identity_are_compared_as_read(aws, reader, tmp_path):
    store = EvidenceStore(tmp_path)
    aws.client("ssm").put_parameter(Name="/deployed-now", Value=DIGEST, Type="String")
    policy = DeployedPolicy(function_prefixes=("none-",), digest_parameter="/deployed-now", must_be_candidate=True)
    ran = (("parameter", "/deployed-now", "1", DIGEST),)
    store.write_table("run-1", "deployed_identity", table(ran, ran))
    present = PresentPlatform(reader, policy)
    recorded = recorded_identity(store, "run-1")
    assert (recorded_problems(recorded, RELEASE, policy), present_problems(recorded, *present.deployed)) == ((), ())
    aws.client("ssm").put_parameter(Name="/deployed-now", Value="sha256:other", Type="String", Overwrite=True)
    assert present_problems(recorded, *present.deployed) == ()  # looked at once
    later = PresentPlatform(reader, policy)
    assert said(present_problems(recorded, *later.deployed))[0][1] == "platform_changed_since_evidence"
    assert said(recorded_problems(recorded_identity(store, "run-2"), RELEASE, policy))[0][1] == "deployed_identity_unknown"


@pytest.mark.parametrize(
    ("recorded", "closing"),
    [
        (None, ["deployed_identity_unknown"]),
        (table(), []),
        (table(end=(("function", "cc-native-a", "2", "c2"),)), ["platform_changed_during_run"]),
    ],
    ids=["nothing recorded", "unchanged", "changed"],
)
def test_whoever_decides_knows_what_the_run_recorded_of_the_platform(aws, tmp_path, recorded, closing, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    sources = DecidingSession(open_run(Desk.on(aws, tmp_path).settings, "gate"), instance=dg.DagsterInstance.ephemeral())
    if recorded is not None:
        sources.run.store.write_table("run-1", "deployed_identity", recorded)
    facts = RunFacts("run-1", READINESS_JOB, RunState.FINISHED, RELEASE.environment, RELEASE.digest)
    run = ReadinessRun(facts, RELEASE.name, 1, 1, NOW, None)
    candidate = Candidate(RELEASE, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline")
    with sources.instance:
        found = [reason.code for reason in read_inputs(sources, candidate, runs=[run]).closing]
    assert found == ["run_not_recorded", *closing]  # this run was made up
