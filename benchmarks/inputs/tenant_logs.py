"""Logs of many tenants, and their ids; the same for the same random numbers."""

import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple


def ids_of_one_shape(count: int) -> list[str]:
    """So many tenant ids that differ by their number."""
    return [f"tenant-{number:05d}" for number in range(count)]


def ids_of_mixed_shapes(count: int, chosen: random.Random) -> list[str]:
    """So many tenant ids, a fifth of them of each of five shapes."""
    shapes = (
        lambda n: f"tenant-{n:05d}",
        lambda _: _as_uuid(f"{chosen.getrandbits(128):032x}"),
        lambda n: f"acme{n}" if n % 2 else f"acme{n}-eu",
        lambda n: f"org_{n:x}",
        lambda n: f"Kunde.{n}",
    )
    return [shapes[number % len(shapes)](number) for number in range(count)]


def _as_uuid(digits: str) -> str:
    """Thirty-two hex digits in the form of a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


class Execution(NamedTuple):
    """One execution: when, as epoch milliseconds, and its lines."""

    moment: int
    lines: list[str]


def executions(ids: Sequence[str], megabytes: float, chosen: random.Random) -> Iterator[Execution]:
    """Executions of random tenants, of so many MB together."""
    written, moment = 0, 1_795_424_400_000
    while written < megabytes * 1_000_000:
        moment += chosen.randrange(1, 40)
        lines = _lines(moment, chosen.choice(ids), f"{chosen.getrandbits(128):032x}")
        written += sum(map(len, lines)) + len(lines)
        yield Execution(moment, lines)


def write_log(path: Path, ids: Sequence[str], megabytes: float, chosen: random.Random) -> None:
    """So many MB of executions, seven lines each, as the platform's logger writes them."""
    with path.open("w", encoding="utf-8") as file:
        for execution in executions(ids, megabytes, chosen):
            file.writelines(f"{line}\n" for line in execution.lines)


def _lines(moment: int, tenant: str, digits: str) -> list[str]:
    """The lines of one execution."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment / 1000)) + f".{moment % 1000:03d}Z"
    trace, intent, account = f"trace-{moment}-{_as_uuid(digits)}", f"ai_{moment}_{digits[:6]}", f"acct-{digits[:2]}"
    scope = f'"action_intent_id":"{intent}","tenant_id":"{tenant}","account_id":"{account}"'
    tool = '"tool_name":"internal-create-note___internal.create_note"'
    signal = f'"signalId":"exec-{intent}-{account}-ACTION_EXECUTED","tenantId":"{tenant}","accountId":"{account}"'
    lines = (
        f'[ExecutionStarterHandler] Execution starter invoked {{{scope},"executionTraceId":"{trace}","is_replay":false}}',
        f'[ExecutionValidatorHandler] Execution validator invoked {{{scope},"trace_id":"{trace}"}}',
        f'[ToolMapperHandler] Tool mapper invoked {{{scope},"trace_id":"{trace}"}}',
        f'[ToolInvokerHandler] Tool invoker invoked {{"action_intent_id":"{intent}",{tool},"trace_id":"{trace}"}}',
        f'[ToolInvokerHandler] Tool invocation finished {{{tool},"status":200,"attempt":1,"durationMs":{moment % 3000}}}',
        f'[ExecutionRecorderHandler] Execution recorder invoked {{"action_intent_id":"{intent}","trace_id":"{trace}"}}',
        f'[ExecutionRecorderHandler] Execution signal created {{{signal},"traceId":"{trace}","key":"TENANT#{tenant}"}}',
    )
    return [f"[{stamp}] [INFO] {line}" for line in lines]
