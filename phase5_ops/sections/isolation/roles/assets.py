"""The roles of the platform's functions as Dagster sees them: asset `role_access` and the check on it. Thin."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from phase5_ops.aws.iam import roles_read
from phase5_ops.aws.role_policies import Document, read_managed_policy, read_roles, read_table_policies
from phase5_ops.clock import iso
from phase5_ops.context import UNKNOWN_ACCOUNT, RunContext
from phase5_ops.evidence.table import NoFacts, Tables
from phase5_ops.orchestration.wiring import Evidence, Judging, Source
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sections.isolation.roles.evidence import (
    ROLE_ACCESS,
    RolePolicies,
    Roles,
    Universe,
    role_access,
    roles_within,
    tables_within,
)
from phase5_ops.sections.isolation.roles.judge import IamCode, judge_iam_scope
from phase5_ops.sections.isolation.roles.managed_policies import arns_to_ask
from phase5_ops.sections.isolation.roles.preview import PREVIEW
from phase5_ops.sections.isolation.roles.remedy import mend_roles
from phase5_ops.sections.isolation.roles.role_documents import deployed_role, with_documents, with_table_policies
from phase5_ops.sections.isolation.roles.template import TemplateRoles, UnreadableTemplate, read_template
from phase5_ops.verdict import CodeChapter, Judgement

SOURCES = (Source("iam/function_roles", "The roles of the platform's functions and their policies.", frozenset({"iam"})),)

_MAX_TEMPLATE_BYTES = 8 * 1024 * 1024


def gather_role_access(run: RunContext, _tables: Tables) -> Roles:
    """What each role, deployed or of a template, may reach beyond its caller's tenant."""
    policy = run.settings.isolation
    names = set(run.settings.tables.model_dump().values())
    account = "000000000000" if run.account == UNKNOWN_ACCOUNT else run.account
    tables = tables_within(names, policy.iam_tables)
    if policy.iam_template is not None:
        content, read = _template(Path(policy.iam_template), run.now())
        roles, reads = _with_managed_policies(content.roles, run, attached=False)[0], [read]
        tables = sorted({*content.tables, *tables})
    else:
        roles, reads = _deployed(run, tables, account)
    rows = role_access(roles, Universe(tables, run.reader.region, account), policy.iam_exceptions)
    return ROLE_ACCESS.gathered(rows, NoFacts()).with_reads(reads, run.now())


def _deployed(run: RunContext, tables: Sequence[str], account: str) -> tuple[list[RolePolicies], list[Read]]:
    patterns = run.settings.isolation.iam_roles
    answers, documents, reads = read_roles(run.reader, lambda name: bool(roles_within([name], patterns)))
    known = {arn: document for arn, document in documents.items() if document}
    roles, asked = _with_managed_policies([deployed_role(answer, known) for answer in answers], run)
    policies, described = read_table_policies(run.reader, tables)
    return with_table_policies(roles, policies, account), [*reads, *asked, *described]


def _with_managed_policies(
    roles: Sequence[RolePolicies], run: RunContext, *, attached: bool = True
) -> tuple[list[RolePolicies], list[Read]]:
    """The roles with the managed policies that IAM has, each read once, and how they were read."""
    documents: dict[str, Document] = {}
    failures: dict[str, str] = {}
    reads: list[Read] = []
    for name in dict.fromkeys(name for role in roles for name in role.unknown):
        document, asked = read_managed_policy(run.reader, arns_to_ask(name, run.reader.partition))
        reads += asked
        if document is not None:
            documents[name] = document
        elif failed := next((read for read in asked if read.status is not ReadStatus.OK), None):
            failures[name] = f"{failed.operation} {failed.status}"
    return [with_documents(role, documents, failures, attached=attached) for role in roles], reads


def _template(path: Path, now: datetime) -> tuple[TemplateRoles, Read]:
    """The template's roles, and how it was read."""
    status, error, content = ReadStatus.OK, None, TemplateRoles((), ())
    try:
        with path.expanduser().open("rb") as file:
            whole = file.read(_MAX_TEMPLATE_BYTES + 1)
        if len(whole) > _MAX_TEMPLATE_BYTES:  # a part must not be judged as the whole
            status, error = ReadStatus.INVALID, f"larger than {_MAX_TEMPLATE_BYTES} bytes"
        else:
            content = read_template(whole.decode("utf-8-sig"))
    except FileNotFoundError:
        status, error = ReadStatus.NOT_FOUND, "no such file"
    except PermissionError:
        status, error = ReadStatus.DENIED, "permission denied"
    except (OSError, UnicodeDecodeError, UnreadableTemplate) as problem:
        status, error = ReadStatus.INVALID, str(problem)[:300]
    return content, Read("file:read", str(path), status, error, int(status is ReadStatus.OK), iso(now), iso(now))


def _judge(run: RunContext, tables: Tables, _now: datetime) -> Judgement:
    return judge_iam_scope(tables["role_access"], policy=run.settings.isolation)


EVIDENCE = (
    Evidence(
        name="role_access",
        section="4",
        description="What every function's role may reach beyond its caller's tenant, asked offline as IAM would be asked.",
        gather=gather_role_access,
        owner="security-compliance",
        kinds=frozenset({"iam", "table"}),
        sources=("iam/function_roles",),
        iam=roles_read,
        preview=PREVIEW,
        table=ROLE_ACCESS,
    ),
)
JUDGING = (
    Judging(
        "role_access",
        {"iam_is_tenant_scoped": _judge},
        mends={"iam_is_tenant_scoped": mend_roles},
        codes=(CodeChapter("Function roles bound to the tenant", (IamCode,), "4.1", ("iam_is_tenant_scoped",)),),
    ),
)
