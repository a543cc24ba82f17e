"""Sends the probes of row 4.1: in waves, at a bounded rate and for a bounded time; sends again where no answer came."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from phase5_ops.aws.pace import Pace, side_by_side
from phase5_ops.policy import IsolationPolicy
from phase5_ops.probing.forge import TokenKind
from phase5_ops.probing.request import HttpAnswer, Problem
from phase5_ops.sections.isolation.harness.probe_plan import CrossProbe, ExpectedAnswer

Wave = tuple[CrossProbe, ...]

#: A request that ended in one of these is sent again: a broken connection or a missing answer shows nothing.
_AGAIN = (Problem.DOWN, Problem.TIMEOUT, Problem.THROTTLED)
_KEEPS_OUT = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


@dataclass
class Asking:
    """One run's requests and their answers.

    Attributes:
        plan: all probes, in the order in which they matter.
        own: requests for A's own data; sent before the others and, as `after`, once more when those are done.
        send: sends one request of a probe.
        policy: most requests, seconds, requests a second and tries.
        parallel: requests under way at once.
        may_write: whether to send probes that the platform may take as a write for A's own tenant.
        sleep: waits.
    """

    plan: Sequence[CrossProbe]
    own: Sequence[CrossProbe]
    send: Callable[[CrossProbe], HttpAnswer] = field(repr=False)
    policy: IsolationPolicy
    parallel: int
    may_write: bool = True
    sleep: Callable[[float], None] = time.sleep
    answers: dict[str, HttpAnswer] = field(default_factory=dict)
    after: dict[str, HttpAnswer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._pace = Pace(self.policy.probe_requests_per_second, self.policy.probe_seconds, sleep=self.sleep)

    @property
    def requests(self) -> int:
        """How many were sent, repeated ones included."""
        return self._pace.sent

    def reached(self) -> bool:
        """Asks for A's own data. Returns whether anything answered; if nothing does, no probe would show anything."""
        self.ask(tuple(self.own))
        return any(probe.name in self.answers and self.answers[probe.name].problem is None for probe in self.own)

    def reads(self) -> Wave:
        """The probes that read."""
        return tuple(probe for probe in self._chosen if probe.reads)

    def writes(self) -> tuple[Wave, Wave]:
        """The probes that write, once `reads` were asked: first those that must be refused, then those that may write for A.

        The caller compares the partitions after each wave, since the second would hide what the first changed.
        """
        chosen = [probe for probe in self._chosen if not probe.reads]
        let_in = {who for who in {probe.who for probe in chosen if probe.once_refused} if not self.kept_out(who)}
        writes = [probe for probe in chosen if not (probe.once_refused and probe.who in let_in)]
        refused = tuple(probe for probe in writes if probe.expect is ExpectedAnswer.REFUSED)
        return refused, tuple(probe for probe in writes if probe.expect is not ExpectedAnswer.REFUSED)

    @property
    def _chosen(self) -> Wave:
        return tuple(probe for probe in self.plan if self.may_write or probe.harmless)[: self.policy.probe_requests]

    def kept_out(self, who: TokenKind) -> bool:
        """Whether every request for data with such a token, by the route's own path, was answered with 401 or 403."""
        reads = [probe for probe in self.plan if probe.reads and probe.who is who and not probe.elsewhere]
        answers = [self.answers.get(probe.name) for probe in reads]
        return bool(reads) and all(answer is not None and answer.status in _KEEPS_OUT for answer in answers)

    def ask(self, wave: Wave) -> None:
        """Sends the probes of one wave side by side and keeps the answers."""
        self.answers |= self._asked(wave)

    def ask_own_again(self) -> None:
        """Asks for A's own data once more."""
        self.after |= self._asked(tuple(self.own))

    def _asked(self, wave: Wave) -> Mapping[str, HttpAnswer]:
        answers = zip(wave, side_by_side(self._answer, wave, self.parallel, "cross-probes"), strict=True)
        return {probe.name: answer for probe, answer in answers if answer is not None}

    def _answer(self, probe: CrossProbe) -> HttpAnswer | None:
        """The answer, after more tries within the bounds where none came; None if the time was over before the first try."""
        answer = None
        tries = self.policy.probe_tries if probe.harmless or not probe.route.starts_work else 1
        for _ in range(tries):
            if not self._pace.wait():
                break
            answer = self.send(probe)
            if answer.problem not in _AGAIN:
                break
        return answer
