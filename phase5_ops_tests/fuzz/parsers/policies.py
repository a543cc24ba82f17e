"""IAM policy documents: of roles, of tables, of topics, queues and keys; filter policies of subscriptions."""

import json
from types import SimpleNamespace

from phase5_ops.aws.filter_policy import UNKNOWN, FilterPolicyError, accepts
from phase5_ops.aws.resource_policy import ServiceRequest, permission
from phase5_ops.aws.role_policies import TablePolicy, read_roles
from phase5_ops.evidence.table import NoFacts
from phase5_ops.gate.inputs.install_check import _check_policy
from phase5_ops.policy import IsolationPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.roles.evidence import ROLE_ACCESS, Universe, role_access
from phase5_ops.sections.isolation.roles.judge import judge_iam_scope
from phase5_ops.sections.isolation.roles.role_documents import deployed_role, with_table_policies
from phase5_ops.verdict import Verdict
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.isolation.harness.support import NOW
from phase5_ops_tests.sections.isolation.roles.templates import LEDGER_ARN, allow, bound, deny, document
from phase5_ops_tests.sections.slo.alarms.alarm_platform import TOPIC, policy_of_topic

READS = (
    "policy documents of roles, tables, topics, queues and keys; filter policies (`aws/role_policies`, `resource_policy`, ...)"
)
MALFORMED = "`iam_policy_not_judged` at the role, an INVALID read, or 'not known'; never taken for allowed, nor for bound"

ACCOUNT = "111122223333"
UNIVERSE = Universe(["cc-native-ledger"], "us-west-2", ACCOUNT)
READ = Read("iam:GetAccountAuthorizationDetails", "roles", ReadStatus.OK, None, 1, "2026-11-23T09:16:00Z", "2026-11-23T09:16:01Z")
ARN = f"arn:aws:dynamodb:us-west-2:{ACCOUNT}:table/cc-native-ledger"
BOUND = document(json.loads(json.dumps(bound()).replace(json.dumps(LEDGER_ARN), json.dumps(ARN))))
MINE = "arn:aws:iam::1:policy/mine"
ROLE = {
    "RoleName": "fn",
    "AttachedManagedPolicies": [{"PolicyName": "mine", "PolicyArn": MINE}],
    "PermissionsBoundary": {"PermissionsBoundaryArn": MINE},
}
OPEN = document(allow(), deny("s3:*"))
TO_ROLE = {**allow(), "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/fn"}}
KEY_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "kms:*"}],
}
FILTER = {
    "AlarmName": [{"prefix": "a"}, {"anything-but": ["b"]}, {"wildcard": "*x*"}],
    "$or": [{"NewStateValue": ["ALARM"]}, {"n": [{"exists": False}]}],
}
PIECES = ("{", "}", "[", "]", '"', ",", ":", "*", "?", "*?" * 40, "*a" * 40, "${aws:", "\\u0000", "\\ud800", "NaN", "[" * 1500)


class _Answers:
    """A reader that gives one answer: `items` by name of the result, or one page."""

    def __init__(self, **results: object) -> None:
        self._results = results

    def paginate(self, *_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(read=READ, items=lambda name: self._results.get(name) or [])

    def call(self, *_: object, **__: object) -> SimpleNamespace:
        return SimpleNamespace(read=READ, pages=[self._results])


def fuzz(data: bytes) -> None:
    """Judges roles of altered documents, then altered policies of a topic, a key and a subscription."""
    source = Source(data)
    leaks = source.chance(2)
    own = source.changed(BOUND)
    role = {**ROLE, "RolePolicyList": [{"PolicyName": "own", "PolicyDocument": own}]}
    if leaks:
        role["RolePolicyList"].append({"PolicyName": "open", "PolicyDocument": OPEN})
        del role["PermissionsBoundary"]  # which would limit it
    local = {"Arn": MINE, "PolicyVersionList": [{"IsDefaultVersion": True, "Document": source.changed(BOUND)}]}
    answer = _Answers(RoleDetailList=[role], Policies=[local])
    found, documents, reads = read_roles(answer, lambda name: True)
    roles = [deployed_role(each, documents) for each in found]
    policy = source.spliced(source.json_text(source.changed(document(TO_ROLE))), PIECES)
    if source.chance(2):
        roles = with_table_policies(roles, [TablePolicy("cc-native-ledger", policy)], ACCOUNT)
    table = ROLE_ACCESS.gathered(role_access(roles, UNIVERSE), NoFacts()).with_reads(reads, NOW)
    verdict = judge_iam_scope(table, policy=IsolationPolicy(iam_blocks=True)).verdict
    assert not leaks or verdict is not Verdict.PASS, "an open role passes"
    _topic(source)
    key = SimpleNamespace(kms_key="arn:aws:kms:us-west-2:1:key/k")
    list(_check_policy(_Answers(Policy=source.spliced(source.json_text(source.changed(KEY_POLICY)), PIECES)), "gate", key))
    try:
        accepts(
            source.spliced(source.json_text(source.changed(FILTER)), PIECES), {"AlarmName": "a" * 200, "NewStateValue": UNKNOWN}
        )
    except FilterPolicyError as error:
        assert data, f"the seed is refused: {error}"


def _topic(source: Source) -> None:
    altered = source.spliced(policy_of_topic(), PIECES)
    request = ServiceRequest("cloudwatch.amazonaws.com", "sns:Publish", TOPIC, {"aws:sourceaccount": "123456789012"})
    allowed = permission(altered, request).allowed
    try:
        readable = isinstance(json.loads(altered), dict)
    except (ValueError, RecursionError):
        readable = False
    assert readable or allowed is None, "a policy that cannot be read decides"
