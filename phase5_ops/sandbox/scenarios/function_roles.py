"""Scenarios of the check iam_is_tenant_scoped: what the roles of the platform's functions let through."""

from phase5_ops.sandbox.scenarios.registry import ERROR, FAIL, INCONCLUSIVE, WARN, scenario
from phase5_ops.sandbox.state.blueprint import Blueprint
from phase5_ops.sandbox.state.function_roles import EXECUTION_ROLE, OWN_KEYS, TENANT, statement


@scenario(
    "role-unscoped",
    "A function's role may read any item of every table.",
    {"iam_is_tenant_scoped": (WARN, "iam_access_unscoped")},
)
def _role_unscoped(state: Blueprint) -> None:
    state.roles[EXECUTION_ROLE].append(statement(["GetItem"], None))


@scenario(
    "role-unscoped-blocks",
    "A function's role may read any item of every table, and the policy says that such a role blocks a release.",
    {"iam_is_tenant_scoped": (FAIL, "iam_access_unscoped")},
)
def _role_unscoped_blocks(state: Blueprint) -> None:
    _role_unscoped(state)
    state.settings["PHASE5_ISOLATION__IAM_BLOCKS"] = "true"


@scenario(
    "role-may-scan",
    "A role's Scan is bound to leading keys, which a scan does not have.",
    {"iam_is_tenant_scoped": (WARN, "iam_keyless_access")},
)
def _role_may_scan(state: Blueprint) -> None:
    state.roles[EXECUTION_ROLE].append(statement(["Scan"], OWN_KEYS))


@scenario(
    "role-prefix-pattern",
    "A role's key pattern ends inside a segment: acme* lets acme-eu in.",
    {"iam_is_tenant_scoped": (WARN, "iam_prefix_pattern")},
)
def _role_prefix_pattern(state: Blueprint) -> None:
    state.roles[EXECUTION_ROLE].append(statement(["Query"], [f"TENANT#{TENANT}*"]))


@scenario(
    "role-batch-unbound",
    "A role asks for one fitting key in a batch only.",
    {"iam_is_tenant_scoped": (WARN, "iam_batch_unbound")},
)
def _role_batch_unbound(state: Blueprint) -> None:
    state.roles[EXECUTION_ROLE].append(statement(["BatchGetItem"], OWN_KEYS, "ForAnyValue:StringLike"))


@scenario(
    "roles-missing",
    "IAM has no role of the platform's functions under the configured names.",
    {"iam_is_tenant_scoped": (INCONCLUSIVE, "nothing_judged")},
)
def _roles_missing(state: Blueprint) -> None:
    state.roles.clear()


@scenario("roles-denied", "The roles cannot be read.", {"iam_is_tenant_scoped": (ERROR, "read_failed")})
def _roles_denied(state: Blueprint) -> None:
    state.faults.append({"operation": "GetAccountAuthorizationDetails", "kind": "denied"})
