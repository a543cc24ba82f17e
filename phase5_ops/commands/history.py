"""`phase5 history accept`: what the person is shown and asked, and how it ends. Text and exit codes only.

Exit codes: 0 accepted; 1 refused; 2 it could not be found out, or AWS did not do it; 3 usage or configuration.
"""

from phase5_ops.clock import iso
from phase5_ops.commands.approvals import DONE, Confirm, check_role, with_exit_code
from phase5_ops.gate.approval.history_acceptance import AcceptanceRequest, accept, acceptable, broken_run
from phase5_ops.gate.session import Refused, open_session
from phase5_ops.settings import Settings
from phase5_ops.text import printable


@with_exit_code
def run_accept(settings: Settings, run_id: str | None, request: AcceptanceRequest, confirm: Confirm) -> int:
    """Shows the breaks that the record of a run (default: the newest) names, asks, signs and records that they are accepted.

    Raises:
        ConfigurationError: usage, a fixed clock, or keys that cannot be used.
    """
    check_role(request.role)
    session = open_session(settings, "accepting")
    record = broken_run(session, run_id)
    breaks = acceptable(record)
    print(f"run {record.found.run_id} in {settings.environment}, ended {iso(record.found.ended_at)}")
    for each in breaks:
        print(printable(f"  {each.code} {each.subject}"))
        print(printable(f"    an earlier run had {each.lost}"))
        print(printable(f"    in its place is    {each.found or 'nothing'}"))
    print(printable(f"because {request.reason} ({request.ticket})"), flush=True)
    who = session.person.person
    if not confirm(f"Accept for {request.role} as {who} that what was lost is not judged any more?"):
        raise Refused("you did not confirm, so nothing was accepted")
    session = open_session(settings, "accepting")  # reading may take longer than a session waits for AWS
    made = accept(session, record, breaks, request, session.person.person)
    print(f"accepted as {made.id}; the next readiness run goes on from there", flush=True)
    return DONE
