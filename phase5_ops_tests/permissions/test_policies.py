"""Each purpose's policy allows what its code declares and calls, on nothing wider than the service makes necessary."""

import importlib
import json
import pkgutil
from fnmatch import fnmatchcase

import dagster as dg
import pytest
from pydantic import SecretStr

import phase5_ops
from phase5_ops.aws.iam_statements import key_statements
from phase5_ops.aws.reader import AwsReader
from phase5_ops.build import WORDS
from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.commands.audit_export import export
from phase5_ops.commands.audit_signatures import audit
from phase5_ops.commands.promote import wait
from phase5_ops.context import open_run
from phase5_ops.evidence.store import EvidenceStore
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.approval.waive import record_waiver
from phase5_ops.gate.audit.contents import AuditPeriod
from phase5_ops.gate.candidates import registration as candidates
from phase5_ops.gate.defs.sensor import run_tick
from phase5_ops.gate.inputs.install_check import check_installation
from phase5_ops.gate.inputs.present_platform import PresentPlatform, alarms_now
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.promotion.targets.choice import iam_actions
from phase5_ops.gate.records import Release, Waiver
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.signing.trusted_keys import FILE_NAME, pin_keys
from phase5_ops.gate.state import items as state_items
from phase5_ops.gate.state import notice_box, observations, run_records
from phase5_ops.gate.state import table as state
from phase5_ops.gate.state.items import Fate
from phase5_ops.gate.state.setup import initialise
from phase5_ops.permissions import gate as iam
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.policy import DeployedPolicy, EnginePolicy, NotificationPolicy, PromotionPolicy, SparkPolicy
from phase5_ops.settings import ConfigurationError, ProbeUser, ProbeUsers, ReadingSettings, Settings, load_settings
from phase5_ops_tests.gate.own_aws import DIGEST, NOW, RELEASE
from phase5_ops_tests.gate.people import Desk

KEY_ID = "0987dcba-09fe-87dc-65ba-ab0987654321"
MACHINE = "arn:aws:states:us-west-2:123456789012:stateMachine:promote"
SPARK = SparkPolicy(
    application_id="00fm4oe0607u5a1d", role_arn="arn:aws:iam::123456789012:role/spark", entry_point="s3://kept/job.py"
)
TARGETS = {
    "record": {},
    "eventbridge": {"event_bus": "releases"},
    "ssm": {"ssm_parameter": "/releases/production"},
    "stepfunctions": {"state_machine_arn": MACHINE},
    "codepipeline": {"pipeline": "release", "pipeline_stage": "Approve", "pipeline_action": "Gate"},
    "webhook": {"webhook_url": "https://example.com/hook"},
}

#: Which policy a module's declared actions belong into; a package stands for all its modules.
PURPOSES = {
    "phase5_ops.aws": {Purpose.readiness},
    "phase5_ops.engines": {Purpose.readiness},
    "phase5_ops.probing": {Purpose.readiness},
    "phase5_ops.sections.isolation": {Purpose.readiness},
    "phase5_ops.doctor": {Purpose.doctor},
    "phase5_ops.gate.state.setup": {Purpose.init},
    "phase5_ops.gate.inputs.install_check": {Purpose.init, Purpose.doctor},
    "phase5_ops.gate.inputs.evidence_copy": {Purpose.auditor},
    "phase5_ops.gate.state.table": {Purpose.gate},
    "phase5_ops.gate.state.run_records": {Purpose.readiness},
    "phase5_ops.gate.inputs.present_platform": {Purpose.gate},
    "phase5_ops.gate.signing.kms": {Purpose.gate, Purpose.signer},
    "phase5_ops.gate.signing.caller": {Purpose.signer},
    "phase5_ops.gate.signing.cloudtrail": {Purpose.auditor},
    "phase5_ops.gate.promotion.targets": {Purpose.gate},
    "phase5_ops.gate.candidates.notifications": {Purpose.gate, Purpose.signer},
}

#: What the service lets nobody narrow, or what is read whole: GetMetricData and ListMetrics, ListFunctions, LookupEvents and the
#: others have no resource types; DescribeAlarms answers without composite alarms unless it is allowed for all.
ONLY_FOR_ALL = {
    "budgets:ViewBudget",
    "ce:GetCostAndUsage",
    "ce:ListCostAllocationTags",
    "cloudtrail:LookupEvents",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:ListAlarmMuteRules",
    "cloudwatch:ListDashboards",
    "cloudwatch:ListMetrics",
    "dynamodb:ListTables",
    "iam:GetAccountAuthorizationDetails",
    "lambda:ListFunctions",
    "logs:DescribeLogGroups",
    "sts:GetCallerIdentity",
}


def whole(target: str = "record") -> Settings:
    """Settings in which everything is used."""
    users = ProbeUsers(
        a=ProbeUser(tenant_id="phase5-a", username="a", password=SecretStr("x")),
        b=ProbeUser(tenant_id="phase5-b", secret_id="probe/b"),
    )
    settings = load_settings(promotion=PromotionPolicy(target=target, **TARGETS[target]))
    return settings.model_copy(
        update={
            "probe_users": users,
            "user_pool_id": "us-west-2_abc",
            "evidence_s3_uri": "s3://evidence/phase5",
            "runbook": "s3://docs/runbook.md",
            "deployed": DeployedPolicy(digest_parameter="/deployed"),
            "notifications": NotificationPolicy(sns_topic_arn="arn:aws:sns:us-west-2:123456789012:phase5"),
            "engine": EnginePolicy(log_scan="spark", partials="s3://kept/partials", spark=SPARK),
            "logs": settings.logs.model_copy(update={"archives": ("s3://archive/logs",)}),
        }
    )


def policies(settings: Settings) -> dict[str, list[dict]]:
    found = {str(each): policy_for(each, settings)["Statement"] for each in Purpose if each is not Purpose.signer}
    return found | {f"signer {role}": policy_for(Purpose.signer, settings, role)["Statement"] for role in ROLES}


def allowed(statements: list[dict]) -> set[str]:
    return {action for statement in statements for action in statement["Action"]}


def declaring() -> dict[str, tuple[str, ...]]:
    """Every module that declares actions."""
    found = {}
    for module in pkgutil.walk_packages(phase5_ops.__path__, "phase5_ops."):
        if not module.name.startswith("phase5_ops.sandbox"):
            loaded = importlib.import_module(module.name)
            if (actions := getattr(loaded, "IAM_ACTIONS", None)) is not None:
                found[module.name] = actions
    return found


def test_every_declared_action_is_in_the_policies_it_belongs_to():
    modules = declaring()
    assert len(modules) > 25
    for target in TARGETS:
        settings = whole(target)
        by_purpose = policies(settings)
        for module, actions in modules.items():
            purposes = next((wanted for name, wanted in PURPOSES.items() if f"{module}.".startswith(f"{name}.")), None)
            assert purposes, f"{module} declares actions and belongs into no policy"
            if module.startswith("phase5_ops.gate.promotion.targets.") and not set(actions) <= set(
                iam_actions(settings.promotion)
            ):
                continue  # another target
            for name, statements in by_purpose.items():
                if name.split()[0] in purposes:
                    assert set(actions) <= allowed(statements), f"{module}: {name}"


@pytest.mark.parametrize("target", TARGETS)
def test_no_policy_allows_on_everything_what_the_service_can_narrow(target):
    for name, statements in policies(whole(target)).items():
        for statement in statements:
            assert statement["Action"], f"{name} {statement['Sid']}"
            assert all("*" not in action for action in statement["Action"])
            for resource in statement["Resource"]:
                assert resource == "*" or resource.count(":") >= 5, f"{name}: {resource}"
            if "*" in statement["Resource"]:
                assert set(statement["Action"]) <= ONLY_FOR_ALL, f"{name} {statement['Sid']}"
        sids = [statement["Sid"] for statement in statements]
        assert len(set(sids)) == len(sids)


@pytest.mark.parametrize("target", TARGETS)
def test_the_gate_reaches_the_chosen_target_alone(target):
    statements = [each for each in iam.gate(whole(target), pinned=True) if each["Sid"].startswith("PromotionTarget")]
    assert allowed(statements) == set(iam_actions(whole(target).promotion))
    assert {resource for each in statements for resource in each["Resource"]} == {
        "record": set(),
        "webhook": set(),
        "eventbridge": {"arn:*:events:*:*:event-bus/releases"},
        "ssm": {"arn:*:ssm:*:*:parameter/releases/production"},
        "stepfunctions": {MACHINE, MACHINE.replace("stateMachine", "execution") + ":phase5-*"},
        "codepipeline": {"arn:*:codepipeline:*:*:release", "arn:*:codepipeline:*:*:release/Approve/Gate"},
    }[target]


def signing_keys(statements: list[dict]) -> list[str]:
    return [
        alias
        for statement in statements
        if "kms:Sign" in statement["Action"]
        for alias in statement["Condition"]["ForAnyValue:StringEquals"]["kms:ResourceAliases"]
    ]


def test_everybody_signs_with_one_key_and_the_pipeline_auditor_and_run_with_none():
    assert {name: signing_keys(statements) for name, statements in policies(load_settings()).items()} == {
        "readiness": [],
        "gate": ["alias/phase5-gate"],
        "pipeline": [],
        "init": [],
        "auditor": [],
        "doctor": [],
        **{f"signer {role}": [f"alias/phase5-{role}"] for role in ROLES},
    }


def test_keys_are_named_by_arn_and_recognized_by_alias_where_only_that_is_known():
    alias = "arn:aws:kms:eu-west-1:123456789012:alias/b"
    names = [KEY_ID, f"arn:aws:kms:eu-west-1:123456789012:key/{KEY_ID}", "alias/a", alias, "alias/c"]
    by_name, there, anywhere = key_statements("Sid", ["kms:Sign"], names)
    assert by_name["Resource"] == [f"arn:*:kms:*:*:key/{KEY_ID}", names[1]]
    assert "Condition" not in by_name
    assert (anywhere["Sid"], anywhere["Resource"]) == ("SidByAlias2", ["arn:aws:kms:eu-west-1:123456789012:key/*"])
    assert there["Resource"] == ["arn:*:kms:*:*:key/*"]
    assert there["Condition"] == {"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/a", "alias/c"]}}
    assert not any(":alias/" in resource for each in (by_name, there, anywhere) for resource in each["Resource"])


def test_public_keys_of_others_are_asked_for_only_where_none_are_pinned(tmp_path):
    settings = load_settings(state_dir=tmp_path)
    sids = {each["Sid"] for each in policy_for(Purpose.signer, settings, "ops-sre")["Statement"]}
    assert "PublicKeysByAlias" in sids
    (tmp_path / FILE_NAME).write_text("{}", encoding="ascii")
    for purpose, role in ((Purpose.signer, "ops-sre"), (Purpose.gate, None), (Purpose.auditor, None)):
        assert not any(each["Sid"].startswith("PublicKeys") for each in policy_for(purpose, settings, role)["Statement"])


def test_the_state_table_is_reached_in_the_environments_own_partitions_alone():
    settings = load_settings(environment="staging")
    release = Release("r-1", DIGEST, "staging")
    kinds = (
        state_items.open_pk,
        state_items.overrides_pk,
        state_items.promoted_pk,
        run_records._runs_pk,
        run_records._history_pk,
        notice_box.notices_pk,
        observations.deployed_pk,
    )
    own = [state_items.release_pk(release), *(of("staging") for of in kinds)]
    foreign = [state_items.release_pk(Release("r-1", DIGEST, "staging-2")), *(of("staging-2") for of in kinds), ""]
    wanted = {
        "readiness": [False] * 4 + [True, True, False, False],
        "gate": [True] * 5 + [False, True, True],
        "signer": [True, False, True, True, True, True, False, False],
        "pipeline": [True, False, True, True, False, False, False, True],
        "doctor": [False, False, False, False, True, False, True, False],
    }
    for name, statements in policies(settings).items():
        on_table = [each for each in statements if any(arn.endswith(f"/{settings.tables.readiness}") for arn in each["Resource"])]
        unlimited = ("dynamodb:Describe", "dynamodb:Scan")  # the ones reach no item, the other no partition of one's own
        on_table = [each for each in on_table if not all(action.startswith(unlimited) for action in each["Action"])]
        if name != "init":
            assert all(each["Condition"]["Null"] == {"dynamodb:LeadingKeys": "false"} for each in on_table)
            keys = [key for each in on_table for key in each["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]]
            reached = [any(fnmatchcase(key, pattern) for pattern in keys) for key in own]
            assert reached == wanted.get(name.split()[0], [True, False, True, False, False, False, False, False]), name
            assert not any(fnmatchcase(key, pattern) for key in foreign for pattern in keys)
            assert name == "readiness" or "PROBES" not in keys
        deleting = [each for each in statements if "dynamodb:DeleteItem" in each["Action"]]
        assert all("RELEASE" not in json.dumps(each) for each in deleting)


def test_what_signing_takes_of_the_state_table_is_among_what_the_table_declares():
    for actions in (iam._SIGNING, iam._READING, iam._WAITING):
        assert set(actions) < set(state.IAM_ACTIONS)


# --- what is really called ---------------------------------------------------------------------------------------------------


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path)


#: What is read of two publications, to tell which came last.
PUBLICATIONS = [(state_items.release_pk(RELEASE), state_items.slot("PROMOTION", series)) for series in (1, 2)]


def called(reader: AwsReader) -> set[str]:
    assert reader.meter.calls
    return set(reader.meter.calls)


def test_a_signer_calls_nothing_that_its_policy_does_not_allow(desk):
    candidate = desk.ready()
    policy = allowed(policy_for(Purpose.signer, desk.settings, "ops-sre")["Statement"])
    session = desk.person("alice", role="admin")
    with pytest.raises(Exception, match="cloudtrail:LookupEvents"):
        signer(session, "ops-sre", to_sign(session, registered(session, RELEASE.name)))
    unknown = called(session.reader)
    session = desk.person("alice")
    what = to_sign(session, registered(session, RELEASE.name))
    sign_off(session, "ops-sre", what, signer(session, "ops-sre", what))
    waiver = Waiver("w", "1.2", DIGEST, frozenset({("code", "x")}), "why", "T-1", NOW, session.now, "ops-sre", "alice")
    record_waiver(session, candidate, waiver)
    session.state.waivers(RELEASE)
    session.state.read_ahead(PUBLICATIONS)
    assert unknown | called(session.reader) == policy


def test_the_gate_calls_nothing_that_its_policy_does_not_allow(desk, tmp_path):
    changes = {"deployed": DeployedPolicy(digest_parameter="/deployed"), "reading": ReadingSettings(max_attempts=1)}
    desk.settings = desk.settings.model_copy(update=changes)
    platform = open_run(desk.settings, "gate")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(candidates.ASSET, partition="r-1", metadata={"digest": DIGEST})
        )
        run_tick(DecidingSession(platform, instance=instance), None, NOW, WORDS)
    signing = desk.open()
    ready = desk.ready()  # signs with the gate's key
    signing.state.candidate(ready.release)
    store = EvidenceStore(tmp_path / "evidence")
    present = PresentPlatform(platform.reader, desk.settings.deployed)
    alarms_now(present, store, "run", desk.settings.gate)
    _ = present.deployed
    assert platform.account != "unknown"
    assert called(platform.reader) | called(signing.reader) <= allowed(policy_for(Purpose.gate, desk.settings)["Statement"])
    assert {"dynamodb:BatchGetItem", "cloudwatch:DescribeAlarms", "ssm:GetParameter"} <= called(platform.reader)


def test_a_waiting_pipeline_an_auditor_and_init_call_nothing_that_their_policies_do_not_allow(desk, tmp_path):
    desk.ready()
    session = desk.person("alice")
    what = to_sign(session, registered(session, RELEASE.name))
    sign_off(session, "ops-sre", what, signer(session, "ops-sre", what))
    policy = {
        purpose: allowed(policy_for(purpose, desk.settings)["Statement"]) for purpose in (Purpose.pipeline, Purpose.auditor)
    }

    waiting = AwsReader(ReadingSettings(max_attempts=1), session=desk.session)
    session = GateSession(open_run(desk.settings, "test", reader=waiting))
    table = session.state
    table.set_fate(table.candidate(RELEASE), Fate.BREAK_GLASS)
    waiting.meter.calls.clear()
    wait(lambda: session, RELEASE, 1, timeout=0, tell=lambda _: None, accept_break_glass=True)
    table.candidate(RELEASE)
    table.read_ahead(PUBLICATIONS)
    assert called(waiting) == policy[Purpose.pipeline]

    auditing = desk.open()
    audit(auditing, RELEASE)
    export(auditing, AuditPeriod(NOW, NOW), tmp_path / "audit.tar.gz", sign=False)
    assert called(auditing.reader) == policy[Purpose.auditor]

    making = AwsReader(ReadingSettings(max_attempts=1), session=desk.session)
    tables = desk.settings.tables.model_copy(update={"readiness": desk.settings.tables.readiness + "-2"})
    settings = desk.settings.model_copy(update={"tables": tables})
    list(initialise(making, tables.readiness))
    session = GateSession(open_run(settings, "test", reader=making))
    pin_keys(making, settings, session.state, NOW)
    list(check_installation(session))
    assert called(making) <= allowed(policy_for(Purpose.init, settings)["Statement"])


# --- the command -------------------------------------------------------------------------------------------------------------


def test_a_signers_policy_needs_a_role_and_others_take_none():
    with pytest.raises(ConfigurationError, match="--role"):
        policy_for(Purpose.signer, load_settings())
    with pytest.raises(ConfigurationError, match="--role"):
        policy_for(Purpose.signer, load_settings(), "gate")
    with pytest.raises(ConfigurationError, match="; did you mean security-compliance"):
        policy_for(Purpose.signer, load_settings(), "securty-compliance")
    with pytest.raises(ConfigurationError, match="--for signer"):
        policy_for(Purpose.gate, load_settings(), "ops-sre")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 0),
        (["--for", "gate"], 0),
        (["--for", "signer", "--role", "ops-sre"], 0),
        (["--for", "signer"], 3),
        (["--for", "everything"], 3),
    ],
)
def test_the_command_prints_the_policy_of_a_purpose(arguments, code, monkeypatch, capsys):
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    monkeypatch.setattr("sys.argv", ["phase5", "iam-policy", *arguments])
    with pytest.raises(SystemExit) as end:
        cli.main()
    out = capsys.readouterr().out
    assert end.value.code == code
    assert (json.loads(out)["Version"] == "2012-10-17") if code == 0 else not out
