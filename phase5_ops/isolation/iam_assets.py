"""The roles of the platform's functions as Dagster sees them: asset `role_access` and the check on it. Thin."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import pandas as pd

from phase5_ops.aws.role_policies import Document, RoleAnswer, read_roles
from phase5_ops.clock import iso
from phase5_ops.isolation.iam_judge import judge_iam_scope
from phase5_ops.isolation.iam_scope import RolePolicies, Universe, role_access, roles_within, tables_within, to_table
from phase5_ops.isolation.iam_template import TemplateRoles, UnreadableTemplate, read_template
from phase5_ops.isolation.managed_policies import known_policy
from phase5_ops.platform import UNKNOWN_ACCOUNT, Platform
from phase5_ops.reads import Read, ReadStatus, attach
from phase5_ops.verdict import Judgement
from phase5_ops.wiring import Evidence, Judging, Source, Tables

SOURCES = (Source("iam/function_roles", "The roles of the platform's functions and their policies.", frozenset({"iam"})),)

_MAX_TEMPLATE_BYTES = 8 * 1024 * 1024


def gather_role_access(platform: Platform, _tables: Tables) -> pd.DataFrame:
    """What each role may reach beyond its caller's tenant, of the deployed roles or of a template."""
    policy = platform.settings.isolation
    names = set(platform.settings.tables.model_dump().values())
    if policy.iam_template is not None:
        content, read = _template(Path(policy.iam_template), platform.now())
        roles, tables, reads = content.roles, sorted({*content.tables, *tables_within(names, policy.iam_tables)}), [read]
    else:
        roles, reads = _deployed(platform)
        tables = tables_within(names, policy.iam_tables)
    account = "000000000000" if platform.account == UNKNOWN_ACCOUNT else platform.account
    rows = role_access(roles, Universe(tables, platform.reader.region, account), policy.iam_exceptions)
    return attach(to_table(rows), reads, platform.now())


def _deployed(platform: Platform) -> tuple[tuple[RolePolicies, ...], list[Read]]:
    patterns = platform.settings.isolation.iam_roles
    answers, documents, reads = read_roles(platform.reader, lambda name: bool(roles_within([name], patterns)))
    known = {arn: document for arn, document in documents.items() if document}
    return tuple(_role(answer, known) for answer in answers), reads


def _role(answer: RoleAnswer, documents: Mapping[str, Document]) -> RolePolicies:
    policies = list(answer.inline)
    unknown = []
    for arn in answer.attached:
        document = documents.get(arn) or known_policy(arn)
        if document is not None:
            policies.append((arn.rsplit("/", 1)[-1], document))
        else:
            unknown.append(arn)
    boundary = None if answer.boundary is None else documents.get(answer.boundary) or known_policy(answer.boundary)
    return RolePolicies(
        answer.name,
        tuple(policies),
        boundary,
        has_boundary=answer.boundary is not None,
        unknown=tuple(unknown),
    )


def _template(path: Path, now: datetime) -> tuple[TemplateRoles, Read]:
    """The template's roles, and how it was read."""
    status, error, content = ReadStatus.OK, None, TemplateRoles((), ())
    try:
        with path.expanduser().open("rb") as file:
            content = read_template(file.read(_MAX_TEMPLATE_BYTES).decode("utf-8-sig"))
    except FileNotFoundError:
        status, error = ReadStatus.NOT_FOUND, "no such file"
    except PermissionError:
        status, error = ReadStatus.DENIED, "permission denied"
    except (OSError, UnicodeDecodeError, UnreadableTemplate) as problem:
        status, error = ReadStatus.INVALID, str(problem)[:300]
    return content, Read("file:read", str(path), status, error, int(status is ReadStatus.OK), iso(now), iso(now))


def _judge(platform: Platform, tables: Tables, _now: datetime) -> Judgement:
    return judge_iam_scope(tables["role_access"], policy=platform.settings.isolation)


EVIDENCE = (
    Evidence(
        name="role_access",
        section="4",
        description="What every function's role may reach beyond its caller's tenant, asked offline as IAM would be asked.",
        gather=gather_role_access,
        owner="security-compliance",
        kinds=frozenset({"iam", "table"}),
        sources=("iam/function_roles",),
    ),
)
JUDGING = (Judging("role_access", {"iam_is_tenant_scoped": _judge}),)
