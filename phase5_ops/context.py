"""What a run works with: settings, clock, reader, history and evidence store, as one plain object, and how it is opened.

`RunContext` is handed out by the Dagster resource `run` (see `build.py`) and knows nothing of Dagster, so that every gather
function can be called in a test with a plain object.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlparse

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.aws.reader import Answer, AwsReader, reader_of
from phase5_ops.aws.sessions import call_config, new_session
from phase5_ops.checklist import CHECKLIST_VERSION
from phase5_ops.evidence.histories import UNCONFIRMED, Continuity
from phase5_ops.evidence.history import History
from phase5_ops.evidence.store import EvidenceStore, Upload
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Settings

UNKNOWN_ACCOUNT = "unknown"


@dataclass
class RunContext:
    """One run's view of the platform. `run_id` names the run in evidence and history.

    `shared` holds what one asset of a section read, so that another need not read it again. `look_back` tells which histories
    continue; without it that is not known. `at_end` maps each part of the run that holds something of the platform to the call
    that gives it back: calls that are still there when the run is over are made then. `rows` names the rows and extra checks that
    were asked for; None where nobody named any. `step` is Dagster's context of the step under way,
    by which a job elsewhere is started.
    """

    settings: Settings
    reader: AwsReader
    history: History
    store: EvidenceStore
    run_id: str
    timings: dict[str, float] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    at_end: dict[str, Callable[[], None]] = field(default_factory=dict)
    look_back: Callable[["RunContext"], Continuity] | None = None
    rows: tuple[str, ...] | None = None
    step: object | None = None

    def __post_init__(self) -> None:
        self._began = self.settings.clock.now()
        self._started = time.perf_counter()

    def now(self) -> datetime:
        """Evaluation time."""
        return self.settings.clock.now()

    @property
    def began(self) -> datetime:
        """Evaluation time when the run began."""
        return self._began

    @property
    def seconds(self) -> float:
        """How long the run has been going on."""
        return time.perf_counter() - self._started

    @property
    def metrics_end(self) -> datetime:
        """The end of the tool metrics that are judged: for a run that sends canaries, the start of the minute in which it began.

        Tool metrics carry no tenant on most successes, so only the time keeps a run's own canaries out of them.
        """
        return self._began.replace(second=0, microsecond=0) if self.settings.sends_canaries else self.now()

    @cached_property
    def continuity(self) -> Continuity:
        """Which histories continue where earlier runs left them; found out once per run."""
        return self.look_back(self) if self.look_back is not None else Continuity((), (UNCONFIRMED,))

    @cached_property
    def links(self) -> ConsoleLinks:
        """Console links of the region that is read."""
        return ConsoleLinks(self.reader.region)

    @cached_property
    def _identity(self) -> Answer:
        return self.reader.call("sts", "get_caller_identity", "caller")

    @property
    def account(self) -> str:
        """The AWS account that is read, or `unknown` where STS did not answer."""
        return self._caller("Account")

    @property
    def identity(self) -> str:
        """The ARN of the identity that reads, or `unknown` where STS did not answer."""
        return self._caller("Arn")

    @property
    def who_am_i(self) -> Read:
        """How asking STS for account and identity ended."""
        return self._identity.read

    def _caller(self, name: str) -> str:
        answer = self._identity
        return str(answer.pages[0].get(name)) if answer.read.status is ReadStatus.OK else UNKNOWN_ACCOUNT

    @cached_property
    def policy_digest(self) -> str:
        """The digest of everything that can change a verdict."""
        return self.settings.policy_digest(checklist_version=CHECKLIST_VERSION, account=self.account)

    @property
    def metrics_scope(self) -> str:
        """The scope of the history of dimension sets."""
        return "/".join((self.account, self.reader.region, self.settings.environment, self.settings.metrics_namespace))


def open_run(
    settings: Settings,
    run_id: str,
    look_back: Callable[[RunContext], Continuity] | None = None,
    *,
    reader: AwsReader | None = None,
    rows: Sequence[str] | None = None,
) -> RunContext:
    """What a run with this id works with, by default with a reader of its own; nothing is read yet.

    `run_id` names the run in evidence and history; if nothing is written, it says what is being done. A readiness run needs
    `look_back`, which tells which histories continue. `rows`: see `RunContext`.
    """
    return RunContext(
        settings=settings,
        reader=reader or reader_of(settings),
        history=History(settings.own_folder / "history.sqlite"),
        store=EvidenceStore(settings.own_folder / "evidence", _uploader(settings)),
        run_id=run_id,
        look_back=look_back,
        rows=None if rows is None else tuple(rows),
    )


def _uploader(settings: Settings) -> Upload | None:
    if settings.evidence_s3_uri is None:
        return None
    target = urlparse(settings.evidence_s3_uri)
    prefix = target.path.strip("/")

    @cache
    def client() -> Any:  # noqa: ANN401 - boto3's clients have no types
        if settings.aws.role_arn is not None:  # Dagster's resource knows no credentials that are asked for again
            return new_session(settings.aws, settings.reading).client("s3", config=call_config(settings.reading))
        # Imported only where evidence goes to S3: the import takes its time. Dagster's resource bounds the number of tries alone
        # (`max_attempts`, botocore's standard mode); it takes no timeouts, so each try has botocore's 60 s to connect and 60 s to
        # read. It knows nothing of `AwsReader`: the run's deadline ends no upload, and the run's meter counts none.
        from dagster_aws.s3 import S3Resource

        return S3Resource(region_name=settings.aws.region, max_attempts=settings.reading.max_attempts).get_client()

    def upload(key: str, content: bytes) -> None:
        client().put_object(Bucket=target.netloc, Key="/".join(part for part in (prefix, key) if part), Body=content)

    return upload
