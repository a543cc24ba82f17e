"""The log scan against ripgrep: `python benchmarks/log_scan.py`; prints seconds of both and their ratio.

Makes a log of 700 MB with 10,000 ids of mixed shapes, and one of 512 MB with ids of one shape, in a folder of its own, and runs
`rg -o -F -f tenants.txt file | wc -l` and `phase5 scan-logs` on each by turns, so that both meet the same machine. CPU seconds
are given beside the wall clock's, since a busy machine shows in the one and not in the other. Needs ripgrep.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASES = {"mixed": 700, "one-shape": 512}  # MB
LIMITS = {"mixed": 0.7, "one-shape": 3.0}
IDS = 10_000


def tenant_ids(case: str, chosen: random.Random) -> list[str]:
    """The ids of one case."""
    if case == "one-shape":
        return [f"tenant-{number:05d}" for number in range(IDS)]
    shapes = (
        lambda n: f"tenant-{n:05d}",
        lambda _: as_uuid(f"{chosen.getrandbits(128):032x}"),
        lambda n: f"acme{n}" if n % 2 else f"acme{n}-eu",
        lambda n: f"org_{n:x}",
        lambda n: f"Kunde.{n}",
    )
    return [shapes[number % len(shapes)](number) for number in range(IDS)]


def as_uuid(digits: str) -> str:
    """Thirty-two hex digits in the form of a version 4 UUID."""
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def write_log(path: Path, ids: list[str], megabytes: int, chosen: random.Random) -> None:
    """Executions of random tenants, seven lines each, as the platform's logger writes them."""
    written, moment = 0, 1_795_424_400_000
    with path.open("wb") as file:
        while written < megabytes * 1_000_000:
            moment += chosen.randrange(1, 40)
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(moment / 1000)) + f".{moment % 1000:03d}Z"
            lines = execution(stamp, moment, chosen.choice(ids), f"{chosen.getrandbits(128):032x}").encode()
            written += file.write(lines)


def execution(stamp: str, moment: int, tenant: str, digits: str) -> str:
    """The lines of one execution."""
    trace, intent, account = f"trace-{moment}-{as_uuid(digits)}", f"ai_{moment}_{digits[:6]}", f"acct-{digits[:2]}"
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
    return "".join(f"[{stamp}] [INFO] {line}\n" for line in lines)


def timed(command: list[str]) -> tuple[float, float, int, str]:
    """Wall seconds, CPU seconds, largest memory in MB and output of a command, its children's included."""
    code = (
        "import resource, subprocess, sys; done = subprocess.run(sys.argv[1:]); "
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss // 1024, file=sys.stderr)"
    )
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, check=False)
    wall = time.perf_counter() - began
    cpu, memory = done.stderr.split("\n")[-2].split()
    return wall, float(cpu), int(memory), done.stdout


def measure(case: str, folder: Path, rounds: int) -> None:
    """Prints the figures of one case."""
    chosen = random.Random(7)
    ids, log, names = tenant_ids(case, chosen), folder / f"{case}.log", folder / f"{case}.txt"
    names.write_text("\n".join(ids) + "\n")
    write_log(log, ids, CASES[case], chosen)
    scan = [sys.executable, "-m", "phase5_ops.cli", "scan-logs", str(log), "--tenants", str(names)]
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for tool, command in (("rg", ["sh", "-c", f"rg -o -F -f {names} {log} | wc -l"]), ("scan-logs", scan)):
            wall, cpu, memory, output = timed(command)
            least = best.get(tool, (wall, cpu))
            best[tool] = min(least[0], wall), min(least[1], cpu)
            said = output.splitlines()[0] if output else ""
            print(f"{case:10} {tool:10} {wall:6.2f} s wall {cpu:6.2f} s CPU {memory:5} MB   {said}")
    wall, cpu = (scan_best / rg_best for scan_best, rg_best in zip(best["scan-logs"], best["rg"], strict=True))
    print(f"{case:10} ratio {wall:.2f} (at most {LIMITS[case]}), of CPU seconds {cpu:.2f}")


def main() -> None:
    """Both cases, or the one named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", choices=sorted(CASES), action="append")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if shutil.which("rg") is None:
        sys.exit("ripgrep (rg) is not installed")
    with tempfile.TemporaryDirectory(prefix="log-scan-") as folder:
        for case in arguments.case or CASES:
            measure(case, Path(folder), arguments.rounds)


if __name__ == "__main__":
    main()
