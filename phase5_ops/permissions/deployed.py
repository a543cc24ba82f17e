"""The policies of deploy/template.yaml: what `phase5 iam-policy` prints, with the template's parameters in the places of names.

IAM takes managed policies of at most 6,144 characters, blanks not counted, so that a policy that is longer becomes several.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from phase5_ops.aws.iam_statements import Statement, document
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.settings import ProbeUser, ProbeUsers, Settings

#: What stands for a parameter or a name of the template while the policies are made.
_STANDS_FOR = {
    "environment.here": "${Environment}",
    "evidence.bucket.here": "${EvidenceBucket}",
    "pool.here": "${UserPoolId}",
    "tenant-a.here": "${TenantA}",
    "tenant-b.here": "${TenantB}",
}
_LARGEST = 5_000  # characters, before the parameters are put in
#: Purpose -> roles of the template that have its policy.
_ROLES = {
    Purpose.readiness: ("RunRole",),
    Purpose.gate: ("RunRole", "DaemonRole"),
    Purpose.doctor: ("RunRole", "DaemonRole"),
    Purpose.init: ("InitRole",),
}


def settings_of(environment: str, evidence_bucket: str, user_pool: str, tenant_a: str, tenant_b: str) -> Settings:
    """The settings that the template's policies are for; everything else is as it is by default."""
    tenants = {"a": tenant_a, "b": tenant_b}
    users = {name: ProbeUser(tenant_id=tenant, secret_id=f"phase5/probe-{name}") for name, tenant in tenants.items()}
    return Settings.model_construct(
        environment=environment,
        evidence_s3_uri=f"s3://{evidence_bucket}/evidence",
        user_pool_id=user_pool,
        probe_users=ProbeUsers(**users),
        runbook="https://runbook",
    )


def managed_policies() -> dict[str, Any]:
    """Name in the template -> resource of CloudFormation."""
    settings = settings_of(*_STANDS_FOR)
    found = {}
    for purpose, roles in _ROLES.items():
        parts = list(_in_parts(policy_for(purpose, settings)["Statement"]))
        for number, statements in enumerate(parts, start=1):
            name = f"{purpose.capitalize()}Policy{number if len(parts) > 1 else ''}"
            of = f" ({number} of {len(parts)})" if len(parts) > 1 else ""
            found[name] = {
                "Type": "AWS::IAM::ManagedPolicy",
                "Properties": {
                    "Description": f"phase5 iam-policy --for {purpose}{of}",
                    "Roles": [{"Ref": role} for role in roles],
                    "PolicyDocument": _with_parameters(document(statements)),
                },
            }
    return found


def as_yaml() -> str:
    """The resources as they stand in the template, each line below `Resources`."""
    import yaml

    lines = yaml.safe_dump(managed_policies(), sort_keys=False, width=1000).splitlines()
    return "\n".join(f"  {line}" for line in lines)


def _in_parts(statements: Sequence[Statement]) -> Iterator[list[Statement]]:
    part: list[Statement] = []
    for statement in statements:
        if part and len(json.dumps([*part, statement])) > _LARGEST:
            yield part
            part = []
        part.append(statement)
    yield part


def _with_parameters(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {key: _with_parameters(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_with_parameters(each) for each in value]
    if not isinstance(value, str) or not any(name in value for name in _STANDS_FOR):
        return value
    for name, parameter in _STANDS_FOR.items():
        value = value.replace(name, parameter)
    return {"Fn::Sub": value}
