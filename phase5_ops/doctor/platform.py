"""What a run needs of the platform beside its tables: the runbook, the probe users' secrets, Cost Explorer."""

from collections.abc import Iterator

from phase5_ops.aws.cost_explorer import read_cost_tags
from phase5_ops.aws.runbook_source import read_runbook
from phase5_ops.doctor.examination import Installation, note, ok, problem, unknown
from phase5_ops.gate.inputs.install_check import Checked
from phase5_ops.probing.codes import Obstructed
from phase5_ops.probing.configured import require_settings
from phase5_ops.probing.forge import FURTHER_USERS
from phase5_ops.probing.identity import Pool
from phase5_ops.probing.redact import Redactor
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("ce:ListCostAllocationTags",)

#: Of a secret that may be there.
_AWAY = (ReadStatus.TIMEOUT, ReadStatus.THROTTLED, ReadStatus.UNREACHABLE, ReadStatus.FAILED, ReadStatus.INVALID)
_NOT_ENABLED = "not enabled for cost explorer"  # AWS answers a member account so, or before the first look at the console


def look_at_runbook(installation: Installation) -> Iterator[Checked]:
    """The runbook can be read; what stands in it is for row 1.3."""
    location = installation.settings.runbook
    text, read = read_runbook(location, installation.session().reader)
    if text is not None and text.strip():
        yield ok(f"the runbook {location} can be read ({len(text):,} characters)")
    elif text is not None:
        yield problem(f"the runbook {location} is empty")
    elif read.status is ReadStatus.NOT_FOUND:
        yield problem(f"the runbook {location} is not there ({read.operation}: {read.error})")
    else:
        yield unknown(f"{read.operation} {location}: {read.status}: {read.error}")


def look_at_probe_users(installation: Installation) -> Iterator[Checked]:
    """What probing needs is set, and user name and password of each probe user can be had; nobody is signed in."""
    settings = installation.settings
    if settings.probe_mode == "off":
        yield note("probes are off (PHASE5_PROBE_MODE): rows 3.1, 3.3 and 4.1 cannot pass")
        return
    try:
        needed = require_settings(settings)
    except Obstructed as stop:
        yield problem(f"{stop.obstacle.subject}: {stop.obstacle.seen}", "set it; docs/settings.md says what it is")
        return
    pool = Pool(installation.session().reader, needed.user_pool_id, needed.client_id, Redactor())
    had, unset = [], []
    for name in ("a", "b", *FURTHER_USERS.values()):
        user = getattr(settings.probe_users, name)
        if name not in ("a", "b") and not user.username and not user.secret_id:
            unset.append(name)
            continue
        try:
            pool.credentials(name.upper(), user)
            had.append(name)
        except Obstructed as stop:
            text = f"probe user {name}: expected {stop.obstacle.expected}, seen {stop.obstacle.seen}"
            yield unknown(text) if any(f": {each}:" in text for each in _AWAY) else problem(text)
    if had:
        yield ok(f"user name and password of {', '.join(had)} can be had (signing in is not tried)")
    if unset:
        yield note(f"not set: {', '.join(unset)}; rows 3.1, 3.3 and 4.1 say what is not tried without them")


def look_at_costs(installation: Installation) -> Iterator[Checked]:
    """Cost Explorer answers, and splits costs by the tags of row 5.2. One call, for $0.01."""
    costs = installation.settings.costs
    wanted = (costs.tenant_tag, costs.connector_tag)
    tags, read = read_cost_tags(installation.session().reader, wanted)
    if read.status is not ReadStatus.OK:
        text = f"{read.operation}: {read.status}: {read.error}"
        yield problem(text, "enable it in the billing console") if _NOT_ENABLED in text.lower() else unknown(text)
        return
    yield ok("Cost Explorer answers")
    active = {tag.key for tag in tags if tag.status == "Active"}
    for key in wanted:
        if key in active:
            yield ok(f"costs are split by the tag {key}")
        else:
            yield problem(f"the cost allocation tag {key} is not active", "activate it in the billing console")
