"""What is deployed, recorded when a readiness run begins and when it ends: asset `deployed_identity`. Thin.

The first asset runs before every other step that is ready, the second one after: steps run one at a time, so when it is the only
one left, all other evidence has been gathered.
"""

from phase5_ops.aws.deployed_identity import read_deployed
from phase5_ops.aws.iam import deployed_read
from phase5_ops.context import RunContext
from phase5_ops.evidence.table import NoFacts, Tables
from phase5_ops.gate.decision.deployed_preview import PREVIEW
from phase5_ops.gate.decision.deployed_rules import DEPLOYED_IDENTITY, END, START, DeployedIdentity, DeployedThing
from phase5_ops.orchestration.wiring import Evidence, Judging, Source

ASSET, AT_START = "deployed_identity", "deployed_identity_at_start"

_FIRST, _LAST = 1000, -1000


def _read(run: RunContext, moment: str) -> DeployedIdentity:
    policy = run.settings.deployed
    found, reads = read_deployed(run.reader, policy.function_prefixes, policy.digest_parameter)
    rows = [DeployedThing(moment, each.kind, each.name, each.version, each.code) for each in found]
    return DEPLOYED_IDENTITY.gathered(rows, NoFacts()).with_reads(reads, run.now())


def gather_at_start(run: RunContext, _tables: Tables) -> DeployedIdentity:
    """What runs when the run begins."""
    return _read(run, START)


def gather_deployed_identity(run: RunContext, tables: Tables) -> DeployedIdentity:
    """What ran when the run began, and what runs when it ends."""
    start, end = tables[AT_START], _read(run, END)
    both = DEPLOYED_IDENTITY.gathered([*start.rows, *end.rows], NoFacts())
    return both.with_reads([*start.reads, *end.reads], run.now())


SOURCES = (
    Source(
        "lambda/platform_functions",
        "The platform's functions: which version and code of each is deployed.",
        frozenset({"lambda"}),
    ),
)

EVIDENCE = (
    Evidence(
        name=AT_START,
        section="4",
        description="What is deployed when the run begins: one row per function, and the parameter that names the release.",
        gather=gather_at_start,
        owner="ops-sre",
        kinds=frozenset({"lambda", "table"}),
        sources=("lambda/platform_functions",),
        iam=deployed_read,
        priority=_FIRST,
        preview=PREVIEW,
        table=DEPLOYED_IDENTITY,
    ),
    Evidence(
        name=ASSET,
        section="4",
        description="What is deployed when the run begins and when it ends; the gate compares the two, and with what runs later.",
        gather=gather_deployed_identity,
        owner="ops-sre",
        kinds=frozenset({"lambda", "table"}),
        needs=(AT_START,),
        iam=deployed_read,
        priority=_LAST,
        preview=PREVIEW,
        table=DEPLOYED_IDENTITY,
    ),
)

JUDGING: tuple[Judging, ...] = ()  # no row of the checklist: the gate judges it, since only the gate knows the candidate
