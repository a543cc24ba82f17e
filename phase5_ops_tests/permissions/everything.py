"""What the project does with AWS, done by who does it in production, each with the printed policy of that purpose alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from phase5_ops.build import WORDS, build_defs
from phase5_ops.checklist import ROLES
from phase5_ops.cli import app as cli
from phase5_ops.commands.in_process import QUIET
from phase5_ops.commands.readiness import run_readiness
from phase5_ops.commands.state_folder import prepare_state_folder
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.defs.notification_watch import settings_of_tick, watch_notices
from phase5_ops.gate.defs.sensor import Tick, run_tick
from phase5_ops.gate.inputs.read import DecidingSession
from phase5_ops.gate.session import new_session
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.report.document import ReadinessDocument
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.settings import Settings, load_settings
from phase5_ops_tests.permissions.enforced import EnforcedPolicies
from phase5_ops_tests.permissions.iam_evaluation import Grant, grants_of

RUN, GATE, PIPELINE, INIT, AUDITOR, DOCTOR, MACHINE = (
    Purpose.readiness,
    Purpose.gate,
    Purpose.pipeline,
    Purpose.init,
    Purpose.auditor,
    Purpose.doctor,
    Purpose.machine,
)
WHY = ("--reason", "known", "--ticket", "OPS-1")


@dataclass
class Everything:
    """One installation on a sandbox, and what its policies were used for.

    Attributes:
        printed: by purpose, everything that any policy of it allowed.
    """

    sandbox: Sandbox
    folder: Path
    patch: pytest.MonkeyPatch
    policies: EnforcedPolicies
    printed: dict[str, set[Grant]] = field(default_factory=dict)
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.set(**self.sandbox.exports(), PHASE5_STATE_DIR=str(self.folder), DAGSTER_HOME=str(self.folder))
        prepare_state_folder(self.folder)
        self.instance = dg.DagsterInstance.get()
        self._session = self.sandbox.session()

    def set(self, **variables: str) -> None:
        """Sets variables of the environment."""
        for name, value in variables.items():
            self.patch.setenv(name, value)

    def patch_out(self, name: str) -> str:
        """Takes a variable out of the environment; what it was."""
        value = os.environ[name]
        self.patch.delenv(name)
        return value

    @contextmanager
    def set_for(self, **variables: str) -> Iterator[None]:
        """Sets variables of the environment in this block."""
        with self.patch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            yield

    def client(self, service: str) -> Any:
        """A client of the test's own, whose calls nobody judges."""
        return self._session.client(service)

    @property
    def settings(self) -> Settings:
        """As a process that begins now has them."""
        return load_settings()

    @contextmanager
    def as_(self, *purposes: str) -> Iterator[None]:
        """Everything in this block is done with the policies printed for these purposes now; that of a role is `signer ROLE`."""
        acting = {}
        for purpose in purposes:
            name, _, role = purpose.partition(" ")
            acting[purpose] = policy_for(Purpose(name), self.settings, role or None)["Statement"]
            self.printed.setdefault(purpose, set()).update(grants_of(acting[purpose]))
        with self.policies.acting(acting):
            yield

    def phase5(self, purpose: str | tuple[str, ...], *arguments: str, code: int = 0) -> str:
        """Runs a command in this process, as one purpose or several; what it prints."""
        out, err = StringIO(), StringIO()
        self.patch.setattr("sys.argv", ["phase5", *arguments])
        purposes = (purpose,) if isinstance(purpose, str) else purpose
        with self.as_(*purposes), redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == code, (arguments, end.value.code, out.getvalue(), err.getvalue())
        return out.getvalue() + err.getvalue()

    @contextmanager
    def person(self, name: str, role: str = "phase5-signer-x") -> Iterator[None]:
        """In this block somebody else is signed in at this machine, in a session of that IAM role."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        given = self.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        with pytest.MonkeyPatch.context() as patch:
            for variable, key in (("ACCESS_KEY_ID", "AccessKeyId"), ("SECRET_ACCESS_KEY", "SecretAccessKey")):
                patch.setenv(f"AWS_{variable}", given[key])
            patch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
            yield

    def signs(self, name: str, role: str, *arguments: str) -> str:
        """A command of a person with the key of a role."""
        with self.person(name):
            return self.phase5(f"signer {role}", *arguments, "--role", role, "--yes")

    def rolls_back(self, name: str) -> None:
        """Orders a rollback to r-1."""
        with self.person(name):
            self.phase5(f"signer {ROLES[1]}", "rollback", "r-1", *WHY, "--yes")

    def run(self, *purposes: str, rows: list[str] | None = None) -> ReadinessDocument:
        """A readiness run by hand, of all rows or of these."""
        with self.as_(*purposes):
            return run_readiness(self.settings, rows, instance=self.instance)

    def tick(self) -> Tick:
        """A look of the gate's sensor."""
        with self.as_(GATE):
            found = run_tick(
                DecidingSession(open_run(self.settings, "tick"), instance=self.instance), self.cursor, datetime.now(UTC), WORDS
            )
        self.cursor = found.cursor
        return found

    def launch(self, tick: Tick, name: str) -> None:
        """Carries out what a tick asked of a job, as the daemon does, which has the policies of runs and of the gate."""
        (request,) = [each for each in tick.requests if each.job_name == name]
        purposes = (RUN, GATE) if name == READINESS_JOB else (GATE,)
        with self.as_(*purposes):
            tags = {**request.tags, "dagster/run_key": request.run_key}
            assert self._job(name, tags=tags, config=request.run_config).success

    def notifies(self) -> list[str]:
        """A look of notification_watch."""
        with self.as_(GATE):
            return list(watch_notices(new_session(settings_of_tick(self.settings), "sensor-tick"), datetime.now(UTC)))

    def _job(self, name: str, tags: dict[str, str] | None, config: Any = None) -> dg.ExecuteInProcessResult:
        job = build_defs(settings=self.settings).resolve_job_def(name)
        return job.execute_in_process({**(config or {}), **QUIET}, instance=self.instance, tags=tags or {}, raise_on_error=False)
