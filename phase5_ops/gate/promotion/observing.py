"""Appends what is deployed beside what was promoted last: when that changed, or was never looked at. Closes and opens nothing.

What must not live here: deciding. What is deployed can close the gate only through the rules of `decision/deployed_rules.py`.
"""

from datetime import datetime

from phase5_ops.gate.attestation.observation import OBSERVATION_TYPE, Agreement, Observation
from phase5_ops.gate.inputs.present_platform import PresentPlatform
from phase5_ops.gate.promotion.released import Released, live, released
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import Written


def observe(session: GateSession, present: PresentPlatform) -> str | None:
    """Looks at what is deployed, and appends it where it is not what the newest observation says.

    Args:
        session: reads and signs.
        present: the platform as it is now; not read where nothing was ever promoted.

    Returns:
        A line about it; None where nothing was promoted, or nothing has changed.

    Raises:
        StateError: the state table cannot be read or written.
        KeysError, SigningError: it cannot be told which keys to trust, or the gate's key does not sign.
    """
    state, environment = session.state, session.settings.environment
    noted = state.noted_releases(environment, malformed=lambda _: None)  # `released` shows them
    newest = max((at for at, _, _ in noted), default=None)
    history = released(state, session.keys, environment, now=session.now, since=newest)
    if not history:  # where nothing was noted, or what was noted last has no record
        history = released(state, session.keys, environment, now=session.now)
    if not history:
        return None
    if (last := live(history)) is None:
        return f"what is deployed is not recorded: the record of {history[-1].release.name} cannot be trusted"
    seen = _seen(last, present, session.settings.deployed.digest_parameter, session.now)
    behind = session.observations.newest(environment)
    if behind is not None and behind.problem(session.keys) is None and behind.seen.same_as(seen):
        return None
    done = session.observations.append(seen, behind, lambda payload: session.signed_by_gate(payload, OBSERVATION_TYPE))
    return f"{last.release.name}: {seen}" if done is Written.DONE else None  # else another daemon appended one just now


def _seen(last: Released, present: PresentPlatform, parameter: str | None, now: datetime) -> Observation:
    identity, failed = present.deployed
    deployed = tuple((*thing, *version) for thing, version in sorted(identity.items()))
    _, digest = identity.get(("parameter", parameter or ""), ("", ""))
    if failed:
        agreement, digest, how, deployed = Agreement.UNKNOWN, "", f"not readable: {'; '.join(failed)}", ()
    elif parameter is None:
        agreement, how = Agreement.UNKNOWN, "no PHASE5_DEPLOYED__DIGEST_PARAMETER names the digest of what is deployed"
    else:
        agreement = Agreement.AGREES if digest == last.release.digest else Agreement.DIFFERENT
        how = f"the parameter {parameter} holds {digest or 'nothing'}"
    override = last.override.id if last.override else ""
    return Observation(last.release, last.series, override, now, agreement, digest, how, deployed)
