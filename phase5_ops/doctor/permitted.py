"""What the caller may do: IAM is asked about each statement of the policies that `phase5 iam-policy` prints.

`iam:SimulatePrincipalPolicy` weighs the caller's own policies, its permissions boundary and, where IAM has them, the policies of
the organization; it does nothing. It knows no resource policies, so signing is tried at the keys instead (`keys.py`). Names and
values that a statement leaves open are filled in with made-up ones.
See https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from phase5_ops.aws.iam_statements import Statement
from phase5_ops.aws.reader import AwsReader
from phase5_ops.doctor.examination import AwsCaller, Installation, ok, problem, unknown
from phase5_ops.gate.inputs.install_check import Checked
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import in_sandbox

IAM_ACTIONS = ("iam:GetRole", "iam:SimulatePrincipalPolicy")

#: Tried where they take effect, or always allowed.
_TRIED_OTHERWISE = frozenset({"kms:Sign", "kms:GetPublicKey", "sts:GetCallerIdentity"})
_SESSION = re.compile(r"arn:aws[a-z-]*:sts::\d{12}:assumed-role/([^/]+)/.*")
_IDENTITY = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:(user|role)/.*")
_MADE_UP = "phase5-doctor"
_MOST_NAMED = 5  # refused actions of a statement


def permissions_of(policies: Mapping[str, Sequence[Statement]]) -> Callable[[Installation], Iterator[Checked]]:
    """A look at what these policies allow: the purpose as a person gives it to `phase5 iam-policy --for`, and its statements."""

    def look(installation: Installation) -> Iterator[Checked]:
        if in_sandbox(installation.settings):
            yield unknown("not tried: the embedded sandbox checks no permissions", "an account of AWS tells")
            return
        assert installation.caller is not None  # noqa: S101 - a part that asks AWS has one
        reader = installation.session().reader
        principal = _principal(reader, installation.caller)
        if isinstance(principal, Checked):
            yield principal
            return
        for purpose, statements in policies.items():
            yield from _purpose(reader, purpose, statements, principal, installation.caller)

    return look


def _principal(reader: AwsReader, caller: AwsCaller) -> str | Checked:
    """The ARN of the user or role whose policies count; a session's ARN lacks the path of its role."""
    if _IDENTITY.fullmatch(caller.arn):
        return caller.arn
    session = _SESSION.fullmatch(caller.arn)
    if session is None:
        return unknown(f"not tried: {caller.arn} is neither a user nor a role", "use a role")
    answer = reader.call("iam", "get_role", session[1], RoleName=session[1])
    if answer.read.status is not ReadStatus.OK:
        return _not_tried(answer.read)
    return str(answer.pages[0]["Role"]["Arn"])


def _not_tried(read: Read) -> Checked:
    remedy = "allow what `phase5 iam-policy --for doctor` prints"
    return unknown(f"not tried: {read.operation} {read.resource}: {read.status}: {read.error}", remedy)


def _purpose(
    reader: AwsReader, purpose: str, statements: Sequence[Statement], principal: str, caller: AwsCaller
) -> Iterator[Checked]:
    allowed = 0
    refused = False
    for statement in statements:
        actions = [action for action in statement["Action"] if action not in _TRIED_OTHERWISE]
        if not actions:
            continue
        answer = reader.paginate(
            "iam",
            "simulate_principal_policy",
            principal,
            PolicySourceArn=principal,
            ActionNames=actions,
            ResourceArns=[_concrete(arn, reader, caller) for arn in statement["Resource"]],
            ContextEntries=_context(statement.get("Condition", {})),
        )
        if answer.read.status is not ReadStatus.OK:
            yield _not_tried(answer.read)
            return
        results = answer.items("EvaluationResults")
        evaluated = {str(each.get("EvalActionName")) for each in results}
        denied = sorted({str(each.get("EvalActionName")) for each in results if each.get("EvalDecision") != "allowed"})
        if denied:
            refused = True
            more = f" and {len(denied) - _MOST_NAMED} more" if len(denied) > _MOST_NAMED else ""
            yield problem(
                f"{purpose}: {', '.join(denied[:_MOST_NAMED])}{more} (statement {statement['Sid']}) not allowed to {principal}",
                f"attach what `phase5 iam-policy --for {purpose}` prints",
            )
        elif not evaluated >= set(actions):
            refused = True
            yield unknown(f"{purpose}: IAM did not answer about statement {statement['Sid']}", "ask again")
        allowed += len(actions) - len(denied)
    if not refused:
        yield ok(f"{purpose}: all {allowed} actions are allowed to {principal}, as IAM simulates its policies")


def _concrete(pattern: str, reader: AwsReader, caller: AwsCaller) -> str:
    """A resource that the pattern of a statement means, in the caller's account."""
    if pattern == "*":
        return pattern
    _, _, service, region, account, name = pattern.split(":", 5)
    region, account = region.replace("*", reader.region), account.replace("*", caller.account)
    return ":".join(("arn", reader.partition, service, region, account, _made_up(name)))


def _made_up(pattern: str) -> str:
    return pattern.replace("*", _MADE_UP).replace("?", "x")


def _context(condition: Mapping[str, Mapping[str, object]]) -> list[dict[str, object]]:
    """Values under which the conditions of a statement hold."""
    found: dict[str, list[str]] = {}
    for operator, keys in condition.items():
        for key, values in keys.items():
            if operator != "Null":
                listed = values if isinstance(values, list) else [values]
                found.setdefault(key, []).extend(_made_up(str(value)) for value in listed)
    return [{"ContextKeyName": key, "ContextKeyType": "stringList", "ContextKeyValues": values} for key, values in found.items()]
