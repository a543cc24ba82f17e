"""Judge of the extra check iam_is_tenant_scoped: no function's role can reach beyond its caller's tenant. Pure."""

from phase5_ops.policy import IsolationPolicy
from phase5_ops.reads import read_findings
from phase5_ops.sections.isolation.roles.evidence import RoleAccess, Roles
from phase5_ops.verdict import Fact, Finding, FindingCode, FindingCodes, Judgement, Verdict, conclude

_REMEDY = (
    "Bind dynamodb:LeadingKeys to the caller's tenant tag: TENANT#${aws:PrincipalTag/tenant_id} and the same followed by #*;"
    " or list the role in PHASE5_ISOLATION__IAM_EXCEPTIONS with its justification."
)


class IamCode(FindingCodes):
    """The finding codes of the check iam_is_tenant_scoped."""

    IAM_ACCESS_UNSCOPED = FindingCode(
        Verdict.WARN,
        "A role may reach items of any tenant: nothing binds the partition keys of its requests.",
        _REMEDY,
        also=(Verdict.FAIL,),
    )
    IAM_KEYLESS_ACCESS = FindingCode(
        Verdict.WARN,
        "A role may read a table without naming a key (Scan, a PartiQL scan, a stream, an export, a restore into another table,"
        " streaming to Kinesis), or write its policy; LeadingKeys cannot bind that, since ForAllValues is true where the key is"
        " absent.",
        "Leave these actions out of the role, or deny PartiQL scans by dynamodb:FullTableScan.",
        also=(Verdict.FAIL,),
    )
    IAM_PREFIX_PATTERN = FindingCode(
        Verdict.WARN,
        "A role's key pattern lets in other tenants whose id begins or ends alike (acme* fits acme-eu, *acme fits big-acme), has"
        " the caller's tenant anywhere in it, or differs in case only.",
        "Begin and end the pattern at a whole segment: no wildcard before the tenant, and behind it only #*.",
        also=(Verdict.FAIL,),
    )
    IAM_BATCH_UNBOUND = FindingCode(
        Verdict.WARN,
        "A role may mix foreign keys into a batch: ForAnyValue is satisfied by one fitting key.",
        "Use ForAllValues for dynamodb:LeadingKeys in an Allow.",
        also=(Verdict.FAIL,),
    )
    IAM_WAY_AROUND = FindingCode(
        Verdict.WARN,
        "A role may get around what binds it: write or take off policies and tags of roles, or take any role that lets it in"
        " (sts:AssumeRole on *).",
        "Leave these actions out of the role, or name the role that it may take; or list it in PHASE5_ISOLATION__IAM_EXCEPTIONS"
        " (for every table) with its justification.",
        also=(Verdict.FAIL,),
    )
    IAM_POLICY_NOT_JUDGED = FindingCode(
        Verdict.WARN,
        "A policy of a role could not be read, or a template has a construct whose effect is not evaluated, so that what a"
        " role may do is not known.",
        "Judge the deployed roles, or the template as it is deployed (transformed, with nested stacks written out).",
        also=(Verdict.INCONCLUSIVE,),
        not_tried=True,
    )
    IAM_EXCEPTION_UNUSED = FindingCode(
        Verdict.WARN,
        "A listed exception covers no access that any role has.",
        "Remove it from PHASE5_ISOLATION__IAM_EXCEPTIONS, so that it does not cover something later.",
    )


_BLOCKING = {IamCode.IAM_POLICY_NOT_JUDGED.code: Verdict.INCONCLUSIVE, IamCode.IAM_EXCEPTION_UNUSED.code: Verdict.WARN}


def judge_iam_scope(table: Roles, *, policy: IsolationPolicy) -> Judgement:
    """Every role of the platform's functions is bound to its caller's tenant, or excepted with a justification.

    Args:
        table: `role_access`, with its reads.
        policy: whether findings block (`iam_blocks`); by default they are WARN.
    """
    rows = table.rows
    findings = [
        *read_findings(table.reads),
        *(_finding(row, policy.iam_blocks) for row in rows if row.code and row.result != "excepted"),
    ]
    unknown = {row.role for row in rows if row.result == "unknown"}
    roles = {row.role for row in rows if row.result not in ("unused", "unknown")}
    unbound = {row.role for row in rows if row.result == "violation"}
    facts: dict[str, Fact] = {
        "roles": len(roles),
        "roles_beyond_their_tenant": len(unbound),
        "roles_not_judged": len(unknown),
        "tables": len({row.table for row in rows if row.table and row.result != "unused"}),
        "excepted": sum(1 for row in rows if row.result == "excepted"),
    }
    bound = len(roles - unbound - unknown)
    summary = f"{bound} of {len(roles | unknown)} roles reach no tenant but their caller's"
    if unknown:
        summary += f", {len(unknown)} not judged in full"
    return conclude(judged=len(roles), summary=summary, findings=findings, facts=facts)


def _finding(row: RoleAccess, blocks: bool) -> Finding:
    code = IamCode.named(row.code)
    verdict = _BLOCKING.get(row.code, Verdict.FAIL) if blocks else Verdict.WARN
    seen = row.reason
    if row.actions:
        seen = f"{', '.join(row.actions)}: {row.reason or row.justification}"
    if row.result == "unknown":
        seen = f"{row.policy}: {row.reason}"
    elif row.policy:
        seen += f" (policy {row.policy})"
    return code.at(f"{row.role} {row.table}".strip(), expected=_expected(row), seen=seen, verdict=verdict)


def _expected(row: RoleAccess) -> str:
    if row.result == "unused":
        return "an access that the exception covers"
    if row.code == IamCode.IAM_WAY_AROUND.code:
        return "no permission to change roles, or to take any role"
    return (
        "everything that the role is granted"
        if row.result == "unknown"
        else "requests bound to the caller's tenant by dynamodb:LeadingKeys"
    )
