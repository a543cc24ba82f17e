"""Each purpose's policy allows what its code declares and calls, on nothing wider than the service makes necessary."""

import importlib
import json
import pkgutil
import re
from fnmatch import fnmatchcase
from importlib.resources import files
from itertools import chain

import pytest
from pydantic import SecretStr

import phase5_ops
from phase5_ops.aws.iam_statements import key_statements
from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.gate.promotion.targets.choice import iam_actions
from phase5_ops.gate.records import Release
from phase5_ops.gate.signing.trusted_keys import FILE_NAME
from phase5_ops.gate.state import items as state_items
from phase5_ops.gate.state import notice_box, observations, run_records
from phase5_ops.gate.state import table as state
from phase5_ops.permissions import gate as iam
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.policy import DeployedPolicy, EnginePolicy, NotificationPolicy, PromotionPolicy, SparkPolicy
from phase5_ops.settings import AwsAccess, ConfigurationError, ProbeUser, ProbeUsers, Settings, load_settings
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.permissions.iam_requests import FOR_ALL

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
    "phase5_ops.gate.state.upgrades": {Purpose.init},
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
#: others have no resource types; DescribeAlarms and DescribeAlarmHistory leave composite alarms out unless allowed for all.
ONLY_FOR_ALL = FOR_ALL | {
    "budgets:ViewBudget",
    "ce:GetCostAndUsage",
    "ce:ListCostAllocationTags",
    "cloudtrail:LookupEvents",
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
            "aws": AwsAccess(role_arn="arn:aws:iam::210987654321:role/phase5", external_id="ticket-17"),
            "evidence_s3_uri": "s3://evidence/phase5",
            "runbook": "s3://docs/runbook.md",
            "deployed": DeployedPolicy(digest_parameter="/deployed"),
            "notifications": NotificationPolicy(sns_topic_arn="arn:aws:sns:us-west-2:123456789012:phase5"),
            "engine": EnginePolicy(log_scan="spark", partials="s3://kept/partials", spark=SPARK),
            "logs": settings.logs.model_copy(update={"archives": ("s3://archive/logs",)}),
        }
    )


def policies(settings: Settings) -> dict[str, list[dict]]:
    left_out = {Purpose.signer} if settings.aws.role_arn else {Purpose.signer, Purpose.machine}
    found = {str(each): policy_for(each, settings)["Statement"] for each in Purpose if each not in left_out}
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


def test_a_machine_may_assume_the_one_role_and_there_is_no_such_policy_without_a_role():
    (statement,) = policy_for(Purpose.machine, whole())["Statement"]
    assert (statement["Action"], statement["Resource"]) == (["sts:AssumeRole"], ["arn:aws:iam::210987654321:role/phase5"])
    with pytest.raises(ConfigurationError, match="PHASE5_AWS__ROLE_ARN is not set, so the machine itself needs"):
        policy_for(Purpose.machine, load_settings())


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
        "signer": [True] * 7 + [False],
        "pipeline": [True] * 5 + [False, True, True],
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
    for actions in (iam._CHANGING, iam._ADDING, iam._ADDING_AND_READING, iam._SIGNING, iam._READING, iam._WAITING):
        assert set(actions) < set(state.IAM_ACTIONS)


# --- what a run may change ----------------------------------------------------------------------------------------------------

READING = ("BatchGet", "Describe", "Filter", "Get", "List", "Query", "Scan", "View")
TENANTS, ACCOUNTS = ("phase5-a", "phase5-b"), ("TENANT#phase5-a#ACCOUNT#*", "TENANT#phase5-b#ACCOUNT#*")
WHOLE = ("TENANT#phase5-a", "TENANT#phase5-b")


def changes(settings: Settings) -> dict[tuple[str, str], set[str]]:
    """Action and resource of everything that a run's policy lets it change -> the partition keys that it is limited to."""
    found: dict[tuple[str, str], set[str]] = {}
    for each in policy_for(Purpose.readiness, settings)["Statement"]:
        keys = each.get("Condition", {}).get("ForAllValues:StringLike", {}).get("dynamodb:LeadingKeys", [])
        for action in each["Action"]:
            if not action.split(":")[1].startswith(READING):
                for resource in each["Resource"]:
                    found.setdefault((action, resource.split(":", 5)[5]), set()).update(keys)
    return found


def test_a_run_changes_nothing_of_the_platform_but_items_of_the_test_tenants_and_sends_to_its_bus():
    """By action and resource; the one table whose keys name no tenant is the dedupe table, from which leaks are removed."""
    own = {
        ("dynamodb:PutItem", "table/phase5-readiness"): {"PROBES", "RUNS#production"},
        ("dynamodb:UpdateItem", "table/phase5-readiness"): {"PROBES"},
        ("dynamodb:DeleteItem", "table/phase5-readiness"): {"PROBES"},
        ("s3:PutObject", "evidence/phase5/*"): set(),
        ("s3:PutObject", "kept/partials/*"): set(),
        ("s3:DeleteObject", "kept/partials/*"): set(),
        ("emr-serverless:StartJobRun", "/applications/00fm4oe0607u5a1d"): set(),
        ("emr-serverless:CancelJobRun", "/applications/00fm4oe0607u5a1d/jobruns/*"): set(),
        ("iam:PassRole", "role/spark"): set(),
    }
    canaries = ("action-intent", "execution-attempts", "execution-outcomes", "internal-notes", "internal-tasks")
    probed = ("autonomy-budget-state", "autonomy-config", "audit-export", "decision-proposal", "decision-budget")
    tables = {
        **{name: set(ACCOUNTS) for name in canaries},
        **{name: {*WHOLE, *ACCOUNTS} for name in probed},
        "tenants": set(TENANTS),
        "signals": set(TENANTS),
        "ledger": set(WHOLE),
        "external-write-dedupe": {"IDEMPOTENCY_KEY#*"},
    }
    platform = {
        **{("dynamodb:BatchWriteItem", f"table/cc-native-{name}"): keys for name, keys in tables.items()},
        ("dynamodb:UpdateItem", "table/cc-native-tenants"): {"phase5-a"},
        ("events:PutEvents", "event-bus/cc-native-events"): set(),
        ("cognito-idp:AdminInitiateAuth", "userpool/us-west-2_abc"): set(),
    }
    assert changes(whole()) == own | platform


def test_a_run_without_test_tenants_changes_nothing_but_its_own_record():
    assert changes(load_settings()) == {("dynamodb:PutItem", "table/phase5-readiness"): {"RUNS#production"}}


def test_every_action_is_one_of_aws_and_stands_with_a_resource_of_its_kind():
    """By AWS's own list of actions and resources, as cfn-lint ships it."""
    known = json.loads((files("cfnlint") / "data/AdditionalSpecs/Policies.json").read_text())
    printed = chain.from_iterable(chain.from_iterable(policies(whole(target)).values()) for target in TARGETS)
    pairs = {(action, resource) for each in printed for action in each["Action"] for resource in each["Resource"]}
    for action, resource in sorted(pairs):
        service, _, operation = action.partition(":")
        kinds = known[service]["Actions"][operation.lower()].get("Resources", [])
        arns = [arn for kind in kinds for arn in known[service]["Resources"].get(kind.lower(), {}).get("ARNFormats", [])]
        fitting = [re.fullmatch(re.sub(r"\$\{\w+\}", "[^:]*", arn), resource) for arn in arns]
        assert any(fitting) or resource == "*", (action, resource, arns)


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
