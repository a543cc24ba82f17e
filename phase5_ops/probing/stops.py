"""Whether the platform is stopped now: its global stop, and the kill switches of the test tenants.

Also whether those tenants are shown to be test tenants at all. Fails closed: what cannot be read stops the probes too.
"""

from collections.abc import Sequence
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.ccnative.tenants import parse_kill_switches
from phase5_ops.probing.codes import Obstructed, ProbingCode
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Settings

IAM_ACTIONS = ("lambda:GetFunctionConfiguration", "dynamodb:GetItem")

STOP_VARIABLE = "GLOBAL_EXECUTION_STOP"
TEST_TENANT_MARK = "phase5_test_tenant"  # of the tenants item's metadata

_OFF = frozenset({"", "0", "false", "no", "off"})


def require_no_stop(reader: AwsReader, settings: Settings, tenants: Sequence[str]) -> list[Read]:
    """Makes sure that neither the platform nor one of `tenants` is stopped; returns the reads.

    Raises:
        Obstructed: it is stopped, that could not be read, or a tenant is not shown to be a test tenant.
    """
    reads = [_require_running(reader, function) for function in settings.probes.stop_functions]
    return [*reads, *(_require_test_tenant(reader, settings, tenant) for tenant in tenants)]


def _require_running(reader: AwsReader, function: str) -> Read:
    answer = reader.call("lambda", "get_function_configuration", function, FunctionName=function)
    _require_read(answer.read, f"the function's variable {STOP_VARIABLE}")
    variables = (answer.pages[0].get("Environment") or {}).get("Variables") or {}
    value = str(variables.get(STOP_VARIABLE, ""))
    if value.strip().lower() not in _OFF:
        raise Obstructed(
            ProbingCode.PROBES_STOPPED, function, expected=f"{STOP_VARIABLE} not set", seen=f"{STOP_VARIABLE}={value[:40]}"
        )
    return answer.read


def _require_test_tenant(reader: AwsReader, settings: Settings, tenant: str) -> Read:
    table = settings.tables.tenants
    answer = reader.call("dynamodb", "get_item", table, TableName=table, Key={"tenantId": {"S": tenant}}, ConsistentRead=True)
    _require_read(answer.read, f"the kill switches of {tenant}")
    item = answer.pages[0].get("Item")
    if not item:
        raise Obstructed(ProbingCode.PROBE_TENANT_REFUSED, tenant, expected=f"a test tenant in {table}", seen="no such tenant")
    prefix = settings.probes.test_tenant_prefix
    if not tenant.startswith(prefix) and not _marked(item):
        raise Obstructed(
            ProbingCode.PROBE_TENANT_REFUSED,
            tenant,
            expected=f"an id that starts with {prefix}, or metadata.{TEST_TENANT_MARK} = true",
            seen="neither: it may be a customer",
        )
    switches = parse_kill_switches([item], table)
    if switches.malformed:
        problem = switches.malformed[0]
        raise Obstructed(
            ProbingCode.STOP_UNREADABLE,
            f"{table} {tenant}",
            expected="readable kill switches",
            seen=f"{problem.attribute}: {problem.problem}",
        )
    if switches.tenants[0].stops((settings.probes.action_type,)):
        raise Obstructed(
            ProbingCode.PROBES_STOPPED,
            tenant,
            expected="a test tenant that may execute",
            seen="its kill switch stops the canary's action",
        )
    return answer.read


def _marked(item: dict[str, Any]) -> bool:
    metadata = item.get("metadata", {}).get("M", {})
    return bool(metadata.get(TEST_TENANT_MARK, {}).get("BOOL", False))


def _require_read(read: Read, expected: str) -> None:
    if read.status is not ReadStatus.OK:
        subject = f"{read.operation} {read.resource}"
        raise Obstructed(ProbingCode.STOP_UNREADABLE, subject, expected=expected, seen=f"{read.status}: {read.error}")
