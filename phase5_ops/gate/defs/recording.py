"""Recording what people are to be told of a release: the gate's sensor's side of notices. It gives nothing to any channel."""

import logging
from datetime import datetime

from phase5_ops.gate.candidates.channels import channels
from phase5_ops.gate.candidates.notices import Look, changes_of_release, notices_of
from phase5_ops.gate.session import GateSession
from phase5_ops.gate.state.items import StateError, Written
from phase5_ops.gate.state.notice_box import release_key

log = logging.getLogger(__name__)


def record_changes(session: GateSession, look: Look, now: datetime) -> str | None:
    """Records what has changed of a release since it was seen last; where nothing has, nothing is written.

    Args:
        session: of the tick.
        look: the release as this tick sees it.
        now: wall clock.

    Returns:
        None where all is recorded that people are to be told; else why not, and the next tick does it.
    """
    settings, release = session.settings, look.candidate.release
    if not (chosen := channels(settings.notifications)):
        return None
    box = session.notices
    try:
        was = box.watched(release.environment, release_key(release.name))
        changed = changes_of_release(was.seen, look)
        if changed.seen == was.seen and not changed.told:
            return None
        series = look.candidate.series
        made = notices_of(changed, was, release=release, series=series, link=look.link, channels=chosen, now=now)
        if box.record(release.environment, was, changed.seen, made, over=changed.over) is Written.DONE:
            return None
    except StateError as error:
        return f"what people are to be told could not be recorded: {error}"
    except Exception as error:  # an item of another shape must not cost the candidate its step, nor the tick its requests
        log.exception("what people are to be told of %s could not be recorded", release.name)
        return f"what people are to be told could not be recorded: {type(error).__name__}: {error}"
    return "what people are to be told is recorded at the next tick: another daemon wrote at this moment"
