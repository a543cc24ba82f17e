"""IAM is asked about what the policies say, in terms that it takes, and each refusal is named."""

import pytest
from moto.core.responses import ActionResult
from moto.iam.responses import IamResponse

from phase5_ops.doctor.examination import AwsCaller
from phase5_ops.doctor.permitted import permissions_of
from phase5_ops.gate.inputs.install_check import InstallOutcome
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops_tests.doctor.conftest import ACCOUNT, given, said
from phase5_ops_tests.gate.people import Desk
from phase5_ops_tests.permissions.iam_evaluation import granting
from phase5_ops_tests.permissions.iam_requests import IamRequest

OK, UNKNOWN, PROBLEM = InstallOutcome.OK, InstallOutcome.UNKNOWN, InstallOutcome.PROBLEM
ROLE = f"arn:aws:iam::{ACCOUNT}:role/ops/phase5-daemon"


@pytest.fixture
def refused(desk: Desk, monkeypatch) -> set[str]:
    """Actions that the role's policies leave out of those that are printed; IAM weighs the others as they say.

    moto has no simulation: the evaluator of the printed policies answers in its place.
    """
    refused: set[str] = set()
    desk.session.client("iam").create_role(RoleName="phase5-daemon", Path="/ops/", AssumeRolePolicyDocument="{}")
    purposes = (Purpose.readiness, Purpose.gate)

    def simulate(self):
        asked = self._get_params()
        settings = desk.settings.model_copy(update={"evidence_s3_uri": "s3://kept/phase5"})
        attached = [each for purpose in purposes for each in policy_for(purpose, settings)["Statement"]]
        context = {each["ContextKeyName"]: tuple(each["ContextKeyValues"]) for each in asked.get("ContextEntries") or ()}
        results = []
        for name in asked["ActionNames"]:
            allowed = name not in refused and all(
                granting(IamRequest(name, arn, context), attached) for arn in asked["ResourceArns"]
            )
            results.append({"EvalActionName": name, "EvalDecision": "allowed" if allowed else "implicitDeny"})
        calls.append(asked)
        return ActionResult({"EvaluationResults": results, "IsTruncated": False})

    calls.clear()
    monkeypatch.setattr(IamResponse, "simulate_principal_policy", simulate, raising=False)
    return refused


calls: list[dict] = []


def policies(installation, *purposes):
    return {str(each): policy_for(each, installation.settings)["Statement"] for each in purposes}


def test_every_statement_is_asked_about_for_the_role_with_its_path(installation, refused):
    installation = given(installation, evidence_s3_uri="s3://kept/phase5")
    purposes = policies(installation, Purpose.readiness, Purpose.gate)
    found = said(permissions_of(purposes)(installation))
    assert set(found) == {OK}
    assert len(found[OK]) == 2
    asked = {name for call in calls for name in call["ActionNames"]}
    declared = {name for statements in purposes.values() for each in statements for name in each["Action"]}
    assert declared - asked == {"kms:Sign", "kms:GetPublicKey", "sts:GetCallerIdentity"}
    assert {call["PolicySourceArn"] for call in calls} == {ROLE}
    arns = {arn for call in calls for arn in call["ResourceArns"]}
    assert not [arn for arn in arns if arn != "*" and ("*" in arn or "?" in arn)]
    assert f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/{installation.settings.tables.readiness}" in arns
    assert "arn:aws:s3:::kept/phase5/phase5-doctor" in arns
    contexts = [entry for call in calls for entry in call.get("ContextEntries") or ()]
    leading = [each["ContextKeyValues"] for each in contexts if each["ContextKeyName"] == "dynamodb:LeadingKeys"]
    assert ["RELEASE#production#phase5-doctor" in values for values in leading].count(True) == 2


def test_what_is_refused_is_named_with_the_policy_that_allows_it(installation, refused):
    refused |= {"dynamodb:Scan", "ce:GetCostAndUsage"}
    found = list(permissions_of(policies(installation, Purpose.readiness, Purpose.gate))(installation))
    wrong = [each for each in found if each.outcome is PROBLEM]
    assert {each.text.split("(")[0].strip() for each in wrong} == {"readiness: dynamodb:Scan", "readiness: ce:GetCostAndUsage"}
    assert {each.remedy for each in wrong} == {"attach what `phase5 iam-policy --for readiness` prints"}
    assert [each.text.split(":")[0] for each in found if each.outcome is OK] == ["gate"]


@pytest.mark.parametrize("operation", ["SimulatePrincipalPolicy", "GetRole"])
def test_who_may_not_ask_is_told_so_and_nothing_is_taken_as_allowed(installation, refused, aws_faults, operation):
    aws_faults.add("denied", service="iam", operation=operation)
    (found,) = permissions_of(policies(installation, Purpose.gate))(installation)
    assert found.outcome is UNKNOWN
    assert f"not tried: iam:{operation}" in found.text


def test_an_answer_that_leaves_an_action_out_is_not_known(installation, refused, monkeypatch):
    monkeypatch.setattr(IamResponse, "simulate_principal_policy", lambda _: ActionResult({"EvaluationResults": []}))
    found = said(permissions_of(policies(installation, Purpose.gate))(installation))
    assert set(found) == {UNKNOWN}


def test_a_user_is_asked_about_itself_and_others_are_not_tried(installation, refused):
    look, user = permissions_of(policies(installation, Purpose.gate)), f"arn:aws:iam::{ACCOUNT}:user/ci"
    object.__setattr__(installation, "caller", AwsCaller(ACCOUNT, user))
    assert set(said(look(installation))) == {OK}
    assert {call["PolicySourceArn"] for call in calls} == {user}
    object.__setattr__(installation, "caller", AwsCaller(ACCOUNT, f"arn:aws:sts::{ACCOUNT}:federated-user/x"))
    assert [each.outcome for each in look(installation)] == [UNKNOWN]


def test_a_sandbox_says_that_it_checks_none(installation, monkeypatch):
    sandbox = given(installation, environment="sandbox")
    (found,) = permissions_of({})(sandbox)
    assert (found.outcome, "checks no permissions" in found.text) == (UNKNOWN, True)
