"""How the parts of an installation are looked at: side by side, each in its own time, none stopped by what another one meets."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain

from phase5_ops.aws.reader import CallMeter, DeadlineExceeded, reader_of, within
from phase5_ops.context import open_run
from phase5_ops.gate.inputs.install_check import Checked, InstallOutcome
from phase5_ops.gate.session import GateSession
from phase5_ops.settings import Settings

SECONDS = 30.0
_MOST_SAID = 300  # characters of an error: some tell their whole stack
_ATTEMPTS = 2  # of a call: what is throttled once is asked again, and a service that is away takes no minute


@dataclass(frozen=True, slots=True)
class AwsCaller:
    """Who asks, as AWS said.

    Attributes:
        account: the twelve digits.
        arn: of the user, or of the session of a role.
    """

    account: str
    arn: str


@dataclass(frozen=True)
class Installation:
    """What is looked at.

    Attributes:
        settings: of the environment.
        caller: who asks; None where AWS did not say so, and nothing is asked of AWS then.
        meter: counts the calls of all parts.
        seconds: the longest that one part takes.
    """

    settings: Settings
    caller: AwsCaller | None
    meter: CallMeter = field(default_factory=CallMeter)
    seconds: float = SECONDS

    def session(self) -> GateSession:
        """A session with a reader of its own, which waits no longer than a part may take."""
        given = self.settings.reading
        bounds = {
            "deadline_seconds": min(given.deadline_seconds, self.seconds),
            "max_attempts": min(given.max_attempts, _ATTEMPTS),
        }
        reader = reader_of(self.settings, reading=given.model_copy(update=bounds), meter=self.meter)
        return GateSession(open_run(self.settings, "phase5 doctor", reader=reader))


@dataclass(frozen=True)
class Part:
    """A part of an installation.

    Attributes:
        name: as the page shows it.
        look: looks at it, one thing after the other.
        remedy: of what does not say its own.
        asks_aws: whether nothing of it can be told without AWS.
    """

    name: str
    look: Callable[[Installation], Iterator[Checked]]
    remedy: str
    asks_aws: bool = True


@dataclass(frozen=True, slots=True)
class Examined:
    """One thing of a part, as it was found."""

    part: str
    checked: Checked


def examine(parts: Sequence[Part], installation: Installation) -> list[Examined]:
    """Looks at all parts at the same time; what was found is in their order, and there is something of each."""
    with ThreadPoolExecutor(max_workers=len(parts), thread_name_prefix="doctor") as workers:
        return list(chain.from_iterable(workers.map(lambda part: _examined(part, installation), parts)))


def _examined(part: Part, installation: Installation) -> list[Examined]:
    found: list[Checked] = []
    if part.asks_aws and installation.caller is None:
        found.append(unknown("not looked at, since AWS did not identify the caller", "see the part credentials"))
    else:
        try:
            within(
                installation.seconds,
                lambda: found.extend(part.look(installation)),
                late=f"this was given up after {installation.seconds:g} s",
            )
        except DeadlineExceeded as error:
            found = [*found, unknown(str(error))]  # another list: the look that was given up still has the first
        except Exception as error:  # noqa: BLE001 - the border: no part takes the page with it
            found.append(unknown(f"{type(error).__name__}: {' '.join(str(error).split())[:_MOST_SAID]}"))
    if not found:
        found.append(unknown("nothing was found out"))
    return [Examined(part.name, _with_remedy(each, part.remedy)) for each in found]


def _with_remedy(checked: Checked, remedy: str) -> Checked:
    if checked.outcome in (InstallOutcome.OK, InstallOutcome.NOTE) or checked.remedy:
        return checked
    return replace(checked, remedy=remedy)


def ok(text: str) -> Checked:
    """It is as it must be."""
    return Checked(InstallOutcome.OK, text)


def note(text: str, remedy: str = "") -> Checked:
    """It need not be wrong."""
    return Checked(InstallOutcome.NOTE, text, remedy)


def unknown(text: str, remedy: str = "") -> Checked:
    """It could not be found out."""
    return Checked(InstallOutcome.UNKNOWN, text, remedy)


def problem(text: str, remedy: str = "") -> Checked:
    """It is not as it must be."""
    return Checked(InstallOutcome.PROBLEM, text, remedy)
