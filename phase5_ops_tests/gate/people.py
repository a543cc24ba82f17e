"""People who sign, as sessions of assumed roles; a candidate of the state table that waits for them."""

import copy
import json
import pickle
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import boto3
import dagster as dg
import pytest
from moto.dynamodb.models import Table, dynamodb_backends
from moto.kms.models import Key, KmsBackend, kms_backends

from phase5_ops.aws.reader import AwsReader
from phase5_ops.checklist import ROLES, ROW_OF_ID
from phase5_ops.context import open_run
from phase5_ops.evidence.run_tags import READINESS_JOB
from phase5_ops.gate.approval.freeze import statement_rows
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.attestation.keys import GATE
from phase5_ops.gate.attestation.orders import Publication, Published
from phase5_ops.gate.attestation.readiness_statement import facts_of
from phase5_ops.gate.decision.decide import decide
from phase5_ops.gate.defs.stating import last_stated, state_document
from phase5_ops.gate.drill.cases import complete_inputs
from phase5_ops.gate.inputs.read import DecidingSession, read_inputs
from phase5_ops.gate.promotion.promote import promote
from phase5_ops.gate.promotion.publication import PromotionDoor
from phase5_ops.gate.records import GateInputs, Release, RunFacts, RunState, Waiver
from phase5_ops.gate.session import GateSession, open_session
from phase5_ops.gate.signing.kms import load_key, sign
from phase5_ops.gate.signing.stored_signatures import verified_sign_offs
from phase5_ops.gate.state.items import Candidate, Fate
from phase5_ops.policy import GatePolicy, SigningPolicy
from phase5_ops.report.candidate import describe
from phase5_ops.sandbox.aws.account import ACCOUNT
from phase5_ops.sandbox.seed import _seed_signing_keys
from phase5_ops.settings import ReadingSettings, Settings, Tables, load_settings
from phase5_ops.verdict import Finding, Verdict
from phase5_ops_tests.gate.own_aws import CHECKS, NOW, RELEASE, readiness_payload

T = TypeVar("T")

TRUSTED = "123456789012/phase5-signer-*"


def complete_for_release(now: datetime = NOW, release: Release = RELEASE) -> GateInputs:
    """What opens the gate for the release, in one run of its own; the signatures are the drill's."""
    complete = complete_inputs(GatePolicy(), now)
    owned = RunFacts(complete.run_id, READINESS_JOB, RunState.FINISHED, release.environment, release.digest)
    results = {name: replace(result, run=owned) for name, result in complete.results.items()}
    return replace(complete, release=release, results=results)


def with_waived(inputs: GateInputs, waivers: Sequence[Waiver]) -> GateInputs:
    """The same, with rows that fail by the findings of these waivers, which are in force."""
    results, verdicts = dict(inputs.results), dict(inputs.bundle.verdicts)
    for each in waivers:
        check = ROW_OF_ID[each.row].check
        findings = tuple(Finding(code, Verdict.FAIL, subject, "", "") for code, subject in sorted(each.pairs))
        failing = {"verdict": Verdict.FAIL, "findings": findings}
        results[check] = replace(results[check], passed=False, **failing)
        verdicts[check] = replace(verdicts[check], **failing)
    return replace(inputs, results=results, bundle=replace(inputs.bundle, verdicts=verdicts), waivers=tuple(waivers))


@dataclass
class Desk:
    """AWS with keys and a table, and sessions on it."""

    session: boto3.Session
    settings: Settings

    @classmethod
    def on(cls, session: boto3.Session, state_dir, **changes) -> "Desk":
        _seed_keys(session)
        table = f"phase5-readiness-{uuid4().hex[:8]}"
        keys = ("pk", "sk")
        session.client("dynamodb").create_table(
            TableName=table,
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"), strict=True)],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in keys],
            BillingMode="PAY_PER_REQUEST",
        )
        given = {
            "environment": RELEASE.environment,
            "state_dir": state_dir,
            "tables": Tables(readiness=table),
            "signing": SigningPolicy(trusted_roles=(TRUSTED,)),
            **changes,
        }
        return cls(session, load_settings(**given))

    def person(self, name: str, role: str = "phase5-signer-x", now: datetime = NOW, **changes) -> GateSession:
        """The session of a person whom the identity provider calls `name`."""
        arn = f"arn:aws:iam::123456789012:role/{role}"
        given = self.session.client("sts").assume_role(RoleArn=arn, RoleSessionName=name)["Credentials"]
        assumed = boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], region_name="us-west-2")
        return self.open(AwsReader(ReadingSettings(max_attempts=1), session=assumed), now, **changes)

    def seat(self, name: str, patch: pytest.MonkeyPatch) -> None:
        """This process's environment as that of a person whom the identity provider calls `name`."""
        role = "arn:aws:iam::123456789012:role/phase5-signer-x"
        given = self.session.client("sts").assume_role(RoleArn=role, RoleSessionName=name)["Credentials"]
        patch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
        patch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
        patch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
        patch.setenv("PHASE5_STATE_DIR", str(self.settings.state_dir))
        patch.setenv("PHASE5_TABLES__READINESS", self.settings.tables.readiness)
        patch.setenv("PHASE5_SIGNING__TRUSTED_ROLES", json.dumps([TRUSTED]))

    def open(self, reader: AwsReader | None = None, now: datetime = NOW, **changes) -> GateSession:
        """A session as `reader`, at `now`."""
        reader = reader or AwsReader(ReadingSettings(max_attempts=1), session=self.session)
        session = replace(open_session(self.settings, "signing", reader=reader), at=now, **changes)
        session.keys  # noqa: B018 - a person's session has its keys from when it was opened
        return session

    def ready(
        self,
        payload: bytes | None = None,
        fate: Fate = Fate.READY_TO_SIGN,
        signed_by: str = GATE,
        *,
        release: Release = RELEASE,
    ) -> Candidate:
        """A candidate whose statement is frozen and signed by the gate."""
        desk = self.open()
        candidate = Candidate(release, 1, Fate.PENDING, NOW, NOW + timedelta(days=1), "pipeline")
        desk.state.register(candidate)
        payload = payload or readiness_payload(release)
        made = sign(desk.reader, load_key(desk.reader, self.settings.signing, signed_by), payload)
        desk.state.freeze_statement(release, 1, payload, made.signature, made.key_id)
        desk.state.set_fate(candidate, fate)
        return replace(candidate, fate=fate)

    def states(self, inputs: GateInputs | None = None, *, now: datetime | None = None, release: Release = RELEASE) -> None:
        """The gate says what it thinks of the candidate as a tick at `now` does: of these inputs, or of what there is."""
        settings = self.settings if now is None else self.settings.model_copy(update={"now": now})
        with dg.DagsterInstance.ephemeral() as instance:
            sources = DecidingSession(open_run(settings, "tick"), instance=instance)
            candidate = sources.state.candidate(release)
            found = inputs or read_inputs(sources, candidate)
            document = describe(sources, candidate, found, decide(found))
            assert state_document(sources, candidate, document, last_stated(sources, candidate)) == ()

    def promoted(self, now: datetime = NOW, *, release: Release = RELEASE, waivers: Sequence[Waiver] = ()) -> Candidate:
        """A candidate that three people signed and the gate promoted at `now`, under these waivers."""
        found = with_waived(complete_for_release(now, release), waivers)
        rows = statement_rows(decide(found), found, CHECKS)
        candidate = self.ready(readiness_payload(release, now=now, waivers=waivers, rows=rows), release=release)
        for number, role in enumerate(ROLES):
            session = self.person(f"person-{number}", now=now)
            what = to_sign(session, registered(session, release.name))
            sign_off(session, role, what, signer(session, role, what))
        self.promotes(now, release, waivers)
        return replace(candidate, fate=Fate.PROMOTED)

    def promotes(self, now: datetime, release: Release = RELEASE, waivers: Sequence[Waiver] = ()) -> None:
        """The gate promotes, at `now`, a candidate whose statement is frozen, on the drill's evidence."""
        session = self.open(now=now)

        def inputs(_candidate: Candidate) -> GateInputs:
            payload = session.state.statement(release, 1).payload
            facts, complete = facts_of(payload), with_waived(complete_for_release(now, release), waivers)
            return replace(
                complete,
                bundle=replace(complete.bundle, digest=facts.evidence_digest, sealed_digest=facts.evidence_digest),
                statement=facts,
                sign_offs=verified_sign_offs(session.state.sign_offs(release), [payload], session.keys),
            )

        door = PromotionDoor(
            session=replace(session, run=replace(session.run, run_id="run-of-then")),
            inputs=inputs,
            publish=lambda _order: Published(Publication.PUBLISHED, "then"),
            wall=lambda: now,
        )
        assert promote(door, release).promoted


_keys: dict[str, Key] = {}


def _seed_keys(session: boto3.Session) -> None:
    """Keys of the gate and its roles; the first of a test's AWS are copies of those that were made first of all."""
    kms, backend = session.client("kms"), kms_backends[ACCOUNT][session.region_name]
    if _keys and not backend.keys:
        backend.keys = _copied(_keys)
        return
    first = not backend.keys
    for alias in kms.list_aliases()["Aliases"]:
        if alias["AliasName"].startswith("alias/phase5-"):
            kms.delete_alias(AliasName=alias["AliasName"])
    _seed_signing_keys(kms)
    if first:
        _keys.update(_copied(backend.keys))


@dataclass(frozen=True)
class _KeptDesk:
    """What a desk's KMS, table and state folder held."""

    keys: dict[str, Key]
    items: bytes
    folder: Path

    @classmethod
    def of(cls, desk: Desk, folder: Path) -> "_KeptDesk":
        if desk.settings.state_dir.exists():
            shutil.copytree(desk.settings.state_dir, folder)
        return cls(_copied(_kms(desk).keys), pickle.dumps(_table(desk).items), folder)

    def put_into(self, desk: Desk) -> None:
        """The desk must be new: what it held is no longer there."""
        _kms(desk).keys = _copied(self.keys)
        _table(desk).items = pickle.loads(self.items)
        if self.folder.exists():
            shutil.copytree(self.folder, desk.settings.state_dir)


def begun_once(folder: Path, make: Callable[..., T]) -> Callable[..., T]:
    """Has each new desk begin with what `make` does: really done at the first one, whose end the further ones begin as.

    `folder` keeps that. It does not keep what is done outside of the desk's keys, table and state folder. What `make` gave is
    given each time; it gets the desk, and what it is given besides.
    """
    kept: list[tuple[_KeptDesk, T]] = []

    def begin(desk: Desk, *besides: object) -> T:
        if kept:
            kept[0][0].put_into(desk)
        else:
            made = make(desk, *besides)
            kept.append((_KeptDesk.of(desk, folder / "state"), made))
        return kept[0][1]

    return begin


def _copied(keys: dict[str, Key]) -> dict[str, Key]:
    """The keys with aliases of their own, which may then be given to others."""
    copies = {name: copy.copy(key) for name, key in keys.items()}
    for key in copies.values():
        key.aliases = dict(key.aliases)
    return copies


def _kms(desk: Desk) -> KmsBackend:
    return kms_backends[ACCOUNT][desk.session.region_name]


def _table(desk: Desk) -> Table:
    return dynamodb_backends[ACCOUNT][desk.session.region_name].tables[desk.settings.tables.readiness]
