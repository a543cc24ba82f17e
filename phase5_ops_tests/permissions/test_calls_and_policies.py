"""What is called and what the printed policies allow is the same, both ways, for every purpose: actions, resources and keys."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partialmethod
from itertools import count
from pathlib import Path

import pytest
from dagster._core.pipes import utils as pipes_utils
from moto.iam.models import AWSManagedPolicy, iam_backends

from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import build_defs
from phase5_ops.checklist import ROLES
from phase5_ops.context import open_run
from phase5_ops.doctor import permitted
from phase5_ops.engines.emr import FollowedJobs
from phase5_ops.evidence.run_tags import PROMOTION_JOB, READINESS_JOB
from phase5_ops.gate.attestation.orders import Order, OrderKind, Publication, idempotency_key
from phase5_ops.gate.promotion.targets.choice import publish
from phase5_ops.gate.records import Release
from phase5_ops.gate.session import new_session
from phase5_ops.gate.state import stated_documents
from phase5_ops.gate.state.items import Candidate, Fate, StateError
from phase5_ops.gate.state.run_records import RunRecords, StoredAcceptance
from phase5_ops.gate.state.upgrades import STEPS, Upgrades
from phase5_ops.policy import PromotionPolicy
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops.sections.isolation.logs.engines.assets import HOURS_JOB
from phase5_ops_tests.conftest import NOW, clean
from phase5_ops_tests.permissions.enforced import enforced_policies
from phase5_ops_tests.permissions.everything import AUDITOR, DOCTOR, GATE, INIT, MACHINE, PIPELINE, RUN, WHY, Everything
from phase5_ops_tests.permissions.iam_evaluation import Grant

pytestmark = pytest.mark.slow(60)

NEWER = "sha256:" + "e" * 64
DIGEST = "sha256:" + "d" * 64


_OF_AWS = {"Path": "/", "CreateDate": "2026-01-01", "UpdateDate": "2026-01-01", "DefaultVersionId": "v1", "Document": {}}

#: What is tried although the printed policy does not allow it, and what the project does then.
DENIED = {
    # a run of its own leaves its record unsigned; only a candidate's needs the signature, and has the gate's policy
    ("readiness", "kms:GetPublicKey"),
}

#: Permissions that no call here needs: purpose, statement, action, and what it is on.
NOT_EXERCISED = {
    # A canary asks for a note; a task of it is left by a platform that confuses the two, which the sandbox's executor does not.
    ("readiness", "HarnessStrays", "dynamodb:BatchWriteItem", "arn:*:dynamodb:*:*:table/cc-native-internal-tasks"),
    ("readiness", "HarnessStrays", "dynamodb:BatchWriteItem", "TENANT#phase5-canary-a#ACCOUNT#*"),
    ("readiness", "HarnessStrays", "dynamodb:BatchWriteItem", "TENANT#phase5-canary-b#ACCOUNT#*"),
    # What a probe has evaluated is put back; this sandbox counts no decision for a probe (tests of planted faults do).
    ("readiness", "HarnessTestData", "dynamodb:BatchWriteItem", "arn:*:dynamodb:*:*:table/cc-native-decision-budget"),
}


@pytest.fixture(scope="module")
def worlds(tmp_path_factory) -> dict[str, Everything]:
    """Two installations after everything was done in them: by the defaults, and with everything turned on."""
    return {
        "defaults": after(by_default, tmp_path_factory.mktemp("defaults")),
        "everything": after(with_everything, tmp_path_factory.mktemp("everything")),
    }


def after(do: Callable[[Everything], None], folder: Path) -> Everything:
    """A sandbox in which this was done."""
    with pytest.MonkeyPatch.context() as patch:
        clean(patch)
        patch.setenv("PHASE5_NOW", NOW)
        with Sandbox("healthy") as sandbox, enforced_policies() as policies:
            policies.answers["cloudtrail:LookupEvents"] = b'{"Events": []}'  # of the last minutes CloudTrail tells nothing yet
            world = Everything(sandbox, folder / "state", patch, policies)
            do(world)
            return world


def by_default(world: Everything) -> None:
    """Nothing is set but what makes it the sandbox, and who may sign; so there are no probes, and the gate stays closed."""
    for name in world.sandbox.exports():
        if name.startswith("PHASE5_") and name not in {"PHASE5_ENVIRONMENT", "PHASE5_SIGNING__TRUSTED_ROLES", "PHASE5_NOW"}:
            world.patch.delenv(name)
    world.run(RUN)
    world.phase5(PIPELINE, "promote", "r-1", "--digest", DIGEST, "--local")
    world.launch(world.tick(), READINESS_JOB)
    assert world.tick().requests == []
    world.phase5(PIPELINE, "status", "r-1", code=1)
    with world.person("alice"):
        world.phase5(f"signer {ROLES[0]}", "status", "r-1", code=1)
    world.phase5(AUDITOR, "audit-signatures", "r-1", code=2)
    world.phase5(INIT, "init", "--check", code=1)  # no keys are pinned
    world.notifies()


def with_everything(world: Everything) -> None:
    """Everything that there is."""
    world.patch.setattr(stated_documents, "_PART", 4000)  # a document has several parts where a platform has many findings
    begin_with_everything(world)
    is_installed(world)
    is_examined(world)
    is_promoted(world)
    is_overridden(world)
    is_audited(world)
    is_lost(world)
    is_revoked(world)
    is_leaking(world)
    is_told_by_others(world)
    is_published_elsewhere(world)
    is_scanned_elsewhere(world)
    is_written_twice(world)
    is_assumed(world)


def begin_with_everything(world: Everything) -> None:
    """Sets everything that can be set, and makes what the settings name."""
    s3, ssm = world.client("s3"), world.client("ssm")
    for bucket in ("evidence", "docs", "kept", "archive"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": world.sandbox.region})
    s3.put_object(Bucket="docs", Key="runbook.md", Body=Path(world.sandbox.exports()["PHASE5_RUNBOOK"]).read_bytes())
    s3.put_object(Bucket="archive", Key="logs/a.log", Body=b"2026-11-23T11:00:00Z nothing\n")
    user = {name: world.patch_out(f"PHASE5_PROBE_USERS__B__{name.upper()}") for name in ("username", "password")}
    world.client("secretsmanager").create_secret(Name="probe/b", SecretString=json.dumps(user))
    ssm.put_parameter(Name="/deployed", Value=DIGEST, Type="String")
    world.set(
        PHASE5_ISOLATION__OUTCOME_SECONDS="1",
        PHASE5_PROBE_USERS__B__SECRET_ID="probe/b",
        PHASE5_EVIDENCE_S3_URI="s3://evidence/phase5",
        PHASE5_RUNBOOK="s3://docs/runbook.md",
        PHASE5_DEPLOYED__DIGEST_PARAMETER="/deployed",
        PHASE5_PROMOTION__TARGET="ssm",
        PHASE5_PROMOTION__SSM_PARAMETER="/phase5/promoted",
        PHASE5_LOGS__ARCHIVES='["s3://archive/logs"]',
        PHASE5_EXPORTS__MIN_PAGES="3",  # more than the sandbox has: the run writes the rest
    )


def is_installed(world: Everything) -> None:
    """The table is made, and one that is there is completed."""
    world.client("dynamodb").delete_table(TableName="phase5-readiness")
    world.phase5(INIT, "init")
    world.client("dynamodb").update_table(TableName="phase5-readiness", DeletionProtectionEnabled=False)
    world.phase5(INIT, "init")
    world.phase5(INIT, "init", "--check")


def is_examined(world: Everything) -> None:
    """By phase5 doctor, as a role, and as if it were no sandbox, where it asks IAM."""
    iam = world.client("iam")
    iam.create_role(RoleName="phase5-gate", AssumeRolePolicyDocument="{}")
    iam.create_user(UserName="operator")
    key = iam.create_access_key(UserName="operator")["AccessKey"]
    answer = "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult/></SimulatePrincipalPolicyResponse>"
    world.policies.answers["iam:SimulatePrincipalPolicy"] = answer.encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permitted, "in_sandbox", lambda _: False)
        with world.person("task", role="phase5-gate"):
            world.phase5((DOCTOR, GATE), "doctor", "--for", "doctor", "--for", "gate", code=1)
        patch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
        patch.setenv("PHASE5_RUNBOOK", "s3://docs/missing.md")
        world.phase5(DOCTOR, "doctor", "--for", "doctor", code=1)


def is_promoted(world: Everything) -> None:
    """From a registration to the promotion, with a waiver."""
    alarm = world.client("cloudwatch").describe_alarms()["MetricAlarms"][0]["AlarmName"]
    world.client("cloudwatch").disable_alarm_actions(AlarmNames=[alarm])
    world.phase5(PIPELINE, "promote", "r-1", "--digest", DIGEST, "--local")
    world.launch(world.tick(), READINESS_JOB)
    assert world.tick().requests == []
    table = new_session(world.settings, "others").state
    for name in ("r-7", "r-8"):  # two that nobody has looked at yet
        other = Candidate(Release(name, DIGEST, "sandbox"), 1, Fate.PENDING, datetime.now(UTC), datetime.now(UTC), "pipeline")
        table.list_open(other.release, datetime.now(UTC))
        table.register(other)
    world.phase5(PIPELINE, "status")
    with world.person("alice"):
        world.phase5(f"signer {ROLES[0]}", "status")
    for name in ("r-7", "r-8"):
        table.set_fate(table.candidate(Release(name, DIGEST, "sandbox")), Fate.ABORTED)
    world.phase5(PIPELINE, "promote", "r-1", "--digest", DIGEST, "--local", "--wait", "--timeout", "1", code=1)
    world.phase5(PIPELINE, "status", "r-1", code=1)
    waiver = ("waive", "1.2", "--release", "r-1", "--finding", "alarm_actions_disabled", *WHY, "--until", "2026-11-25")
    world.signs("dave", ROLES[1], *waiver)
    assert world.tick().requests == []
    with world.person("mallory", role="admin"):  # whom CloudTrail is asked about
        world.phase5(f"signer {ROLES[0]}", "sign-off", "r-1", "--role", ROLES[0], "--yes", code=1)
    for person, role in zip(("alice", "bob", "carol"), ROLES, strict=True):
        world.signs(person, role, "sign-off", "r-1")
    world.launch(world.tick(), PROMOTION_JOB)
    world.tick()
    world.phase5(PIPELINE, "promote", "r-1", "--digest", DIGEST, "--local", "--wait", "--timeout", "1")
    world.phase5(PIPELINE, "status", "r-1")
    world.phase5(PIPELINE, "releases")


def is_overridden(world: Everything) -> None:
    """Glass is broken for a second release by two people, and then it is rolled back."""
    world.phase5(PIPELINE, "promote", "r-2", "--digest", NEWER, "--local")
    world.tick()
    world.signs("alice", ROLES[0], "break-glass", "r-2", *WHY)
    world.signs("bob", ROLES[1], "break-glass", "r-2")
    world.launch(world.tick(), PROMOTION_JOB)
    world.phase5(PIPELINE, "promote", "r-2", "--digest", NEWER, "--local", "--wait", "--timeout", "1", "--accept-break-glass")
    world.rolls_back("bob")
    world.launch(world.tick(), PROMOTION_JOB)
    world.notifies()
    world.phase5(PIPELINE, "releases")


def is_audited(world: Everything) -> None:
    """By somebody who does not have the folder."""
    world.phase5(AUDITOR, "audit-signatures", "r-1", code=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PHASE5_STATE_DIR", str(world.folder.with_name("auditor")))
        world.phase5(AUDITOR, "history")
        world.phase5(AUDITOR, "audit-signatures", "r-2", code=2)
        period = ("--from", "2026-11-01", "--to", datetime.now(UTC).date().isoformat())
        world.phase5(AUDITOR, "audit-export", *period, "--output", str(world.folder.with_name("audit.tar.gz")))


def is_lost(world: Everything) -> None:
    """A history is lost, which a person accepts."""
    (world.folder / "history.sqlite").unlink()
    world.run(RUN, rows=["2.2"])
    world.signs("carol", ROLES[2], "history", "accept", *WHY)
    world.run(RUN, rows=["2.2"])


def is_revoked(world: Everything) -> None:
    """A key is replaced after something was signed with it."""
    world.rolls_back("bob")
    kms = world.client("kms")
    key = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=f"alias/phase5-{ROLES[1]}", TargetKeyId=key)
    world.phase5(INIT, "init", "--yes")
    assert world.tick().requests == []


def is_leaking(world: Everything) -> None:
    """What a leaking platform left of the canary is removed."""
    leaks = {PlatformFault.DEDUPE_KEY_OF_OTHER, PlatformFault.SIGNAL_FOR_OTHER, PlatformFault.FOREIGN_BUDGET_WRITABLE}
    world.sandbox.platform_faults.update(leaks)
    world.client("dynamodb").update_table(
        TableName="cc-native-ledger", StreamSpecification={"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
    )
    policy = "<Policy><DefaultVersionId>v1</DefaultVersionId></Policy>"
    version = "<PolicyVersion><Document>{}</Document></PolicyVersion>"
    for operation, content in (("GetPolicy", policy), ("GetPolicyVersion", version)):
        answer = f"<{operation}Response><{operation}Result>{content}</{operation}Result></{operation}Response>"
        world.policies.answers[f"iam:{operation}"] = answer.encode()
    of_aws = AWSManagedPolicy.from_data("NewOne", ACCOUNT, world.sandbox.region, _OF_AWS)
    for role in iam_backends[ACCOUNT]["aws"].roles.values():
        of_aws.attach_to(role)
    world.run(RUN, rows=["4.1", "iam_is_tenant_scoped"])
    world.sandbox.platform_faults.difference_update(leaks)


def is_told_by_others(world: Everything) -> None:
    """Alarms whose topic is encrypted and delivers to a queue and a function."""
    sns, sqs, kms = (world.client(name) for name in ("sns", "sqs", "kms"))
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    queue = sqs.create_queue(QueueName="told", Attributes={"KmsMasterKeyId": key})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    function = world.client("lambda").list_functions()["Functions"][0]["FunctionArn"]
    topics = {each for alarm in world.client("cloudwatch").describe_alarms()["MetricAlarms"] for each in alarm["AlarmActions"]}
    for topic in topics:
        for each in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
            sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])
        sns.set_topic_attributes(TopicArn=topic, AttributeName="KmsMasterKeyId", AttributeValue=key)
        only = {"FilterPolicy": json.dumps({"kind": ["none"]})}  # it does not take everything, so that the next one is read too
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=only)
        sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=function)
    rule = {"Schedule": {"Expression": "cron(* * * * *)", "Duration": "PT24H", "Timezone": "UTC"}}
    names = [world.client("cloudwatch").describe_alarms()["MetricAlarms"][0]["AlarmName"]]
    world.client("cloudwatch").put_alarm_mute_rule(Name="maintenance", Rule=rule, MuteTargets={"AlarmNames": names})
    world.run(RUN, rows=["1.2"])
    world.client("s3").delete_object(Bucket="docs", Key="runbook.md")
    (row,) = [each for each in world.run(RUN, rows=["1.3"]).rows if each.id == "1.3"]
    assert row.verdict != "ERROR", row  # missing, and not denied


def is_published_elsewhere(world: Everything) -> None:
    """An order at each of the other targets, twice."""
    definition = json.dumps({"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}})
    machine = world.client("stepfunctions").create_state_machine(
        name="promote", definition=definition, roleArn=f"arn:aws:iam::{ACCOUNT}:role/deploy"
    )["stateMachineArn"]
    waiting = {"actionName": "Gate", "latestExecution": {"status": "InProgress", "token": "1a2b3c4d-573f-4ea7-a67E-XAMPLETOKEN"}}
    stage = {"stageName": "Approve", "latestExecution": {"pipelineExecutionId": "e-1"}, "actionStates": [waiting]}
    world.policies.answers |= {
        "codepipeline:GetPipelineState": json.dumps({"stageStates": [stage]}).encode(),
        "codepipeline:PutApprovalResult": b"{}",
    }
    world.client("events").create_event_bus(Name="releases")
    release = Release("r-9", DIGEST, "sandbox")
    context = {"pipeline_execution_id": "e-1"}
    order = Order(release, 1, idempotency_key(release, 1), datetime.now(UTC), OrderKind.OPEN, b"{}", context)
    for target in (
        PromotionPolicy(target="eventbridge", event_bus="releases"),
        PromotionPolicy(target="stepfunctions", state_machine_arn=machine),
        PromotionPolicy(target="codepipeline", pipeline="release", pipeline_stage="Approve", pipeline_action="Gate"),
    ):
        with (
            world.set_for(**{f"PHASE5_PROMOTION__{k.upper()}": str(v) for k, v in target.model_dump(exclude_unset=True).items()}),
            world.as_(GATE),
        ):
            reader = AwsReader(world.settings.reading)
            answers = [publish(reader, world.settings.promotion, order).publication for _ in range(2)]
        assert answers[0] is Publication.PUBLISHED, target


def is_scanned_elsewhere(world: Everything) -> None:
    """The log scan by hours of Dagster and by Spark jobs, which keep what they find in S3."""
    with world.set_for(
        PHASE5_ENGINE__LOG_SCAN="dagster", PHASE5_ENGINE__PARTIALS="s3://kept/partials", PHASE5_LOGS__WINDOW_HOURS="3"
    ):
        with world.as_(RUN):
            job = build_defs(settings=world.settings, run=open_run(world.settings, "hours")).resolve_job_def(HOURS_JOB)
            assert job.execute_in_process(partition_key="2026-11-23-09:00", instance=world.instance).success
        world.run(RUN, rows=["4.2"])
    run = {"jobRunId": "j1", "applicationId": "00fm4oe0607u5a1d", "state": "RUNNING", "stateDetails": ""}
    world.policies.answers |= {
        "emr-serverless:StartJobRun": json.dumps({"jobRunId": "j1", "applicationId": "00fm4oe0607u5a1d"}).encode(),
        "emr-serverless:GetJobRun": json.dumps({"jobRun": run}).encode(),
        "emr-serverless:CancelJobRun": json.dumps(run).encode(),
        "emr-serverless:GetApplication": json.dumps({"application": {"type": "Spark"}}).encode(),
        "emr-serverless:GetDashboardForJobRun": json.dumps({"url": "https://example.com/"}).encode(),
    }
    spark = {
        "application_id": "00fm4oe0607u5a1d",
        "role_arn": f"arn:aws:iam::{ACCOUNT}:role/spark",
        "entry_point": "s3://kept/job.py",
        "poll_seconds": 0.01,
    }
    by_spark = {
        "PHASE5_ENGINE__LOG_SCAN": "spark",
        "PHASE5_ENGINE__PARTIALS": "s3://kept/partials",
        "PHASE5_ENGINE__SPARK": json.dumps(spark),
    }
    with world.set_for(**by_spark), pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipes_utils, "WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", -1)
        late = partialmethod(FollowedJobs.__init__, monotonic=count(step=3600).__next__)
        with pytest.MonkeyPatch.context() as hours_later:
            hours_later.setattr(FollowedJobs, "__init__", late)
            world.run(RUN, rows=["4.2"])
        world.policies.answers["emr-serverless:GetJobRun"] = json.dumps({"jobRun": {**run, "state": "SUCCESS"}}).encode()
        world.run(RUN, rows=["4.2"])


def is_written_twice(world: Everything) -> None:
    """Conditional writes that find what is there: of two runs, two daemons, one person whose answer was lost."""
    release, at = Release("r-5", DIGEST, "sandbox"), datetime(2026, 11, 23, tzinfo=UTC)
    with world.as_(RUN):
        records = new_session(world.settings, "race").records
        newest = next(records.newest_first("sandbox"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunRecords, "newest_first", lambda *_: iter(()))
            with pytest.raises(StateError, match="other runs were faster"):
                records.append(replace(newest.found, run_id="another"), lambda _: ("", b""))
    with world.as_(GATE):
        table = new_session(world.settings, "race").state
        for earlier in range(2):
            table.note_promotion(release, 1, at, ())
            table.list_open(release, at - timedelta(days=earlier))
        seen = new_session(world.settings, "race").observations
        seen.append(seen.newest("sandbox").seen, None, lambda _: ("", b""))
    with world.as_(f"signer {ROLES[0]}"):
        session = new_session(world.settings, "race")
        for _ in range(2):
            session.state.add_override("sandbox", "twice", b"{}")
            session.records.accept("sandbox", StoredAcceptance("twice", b"{}", "k", b"s"))
    with world.as_(INIT), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Upgrades, "pending", lambda *_: list(STEPS))
        list(new_session(world.settings, "race").upgrades.upgrade("sandbox", at))


def is_assumed(world: Everything) -> None:
    """A run in a role that the machine assumes."""
    with world.set_for(PHASE5_AWS__ROLE_ARN=f"arn:aws:iam::{ACCOUNT}:role/phase5-runs"):
        assert ":assumed-role/phase5-runs/" in str(world.run(MACHINE, RUN, rows=["1.3"]).judged)


def by_role(grants: Iterable[tuple[str, Grant]]) -> set[tuple[str, Grant]]:
    """The same of any role: whose key is whose is another test's business."""
    named = re.compile("|".join(ROLES))
    return {
        (named.sub("ROLE", purpose), Grant(named.sub("ROLE", each.sid), each.action, named.sub("ROLE", each.on)))
        for purpose, each in grants
    }


@pytest.mark.parametrize("name", ["defaults", "everything"])
def test_every_call_is_allowed_by_the_policy_of_who_makes_it(worlds, name):
    found = worlds[name].policies
    assert found.not_understood == []
    assert sum(map(len, found.made.values())) > 200
    assert {(who.rpartition("+")[2], action) for who, refused in found.denied.items() for action, _ in refused} == DENIED, (
        found.denied
    )


def test_every_permission_is_needed_by_some_call(worlds):
    used = by_role((who, each) for world in worlds.values() for who, grants in world.policies.used.items() for each in grants)
    printed = by_role((who, each) for world in worlds.values() for who, grants in world.printed.items() for each in grants)
    assert {(who, each.sid, each.action, each.on) for who, each in printed - used} == NOT_EXERCISED
