"""Each new signature is shown once, wherever it was made; what cannot be read is said."""

import dagster as dg
import pytest

from phase5_ops.evidence.run_tags import ENVIRONMENT_TAG, RELEASE_TAG
from phase5_ops.gate.approval.sign_off import registered, sign_off, signer, to_sign
from phase5_ops.gate.defs.sign_off_assets import sign_off_job, sign_off_run_config
from phase5_ops.gate.defs.sign_off_watch import sign_off_requests, sign_off_watch
from phase5_ops.gate.session import new_session
from phase5_ops.orchestration.names_in_dagster import DagsterNames
from phase5_ops.settings import Tables
from phase5_ops_tests.gate.own_aws import NOW, RELEASE
from phase5_ops_tests.gate.people import Desk


@pytest.fixture
def desk(aws, tmp_path, monkeypatch) -> Desk:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "sandbox")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "sandbox")
    return Desk.on(aws, tmp_path)


def test_a_run_is_asked_for_once_when_there_is_something_to_sign_and_for_each_signature(desk):
    desk.ready()
    state = desk.open().state
    state.list_open(RELEASE, NOW)
    (unsigned,) = sign_off_requests(state, desk.settings)
    keys = [unsigned.run_key]
    for number, role in enumerate(("ops-sre", "security-compliance")):
        session = desk.person(f"person-{number}")
        what = to_sign(session, registered(session, RELEASE.name))
        sign_off(session, role, what, signer(session, role, what))
        (first,) = sign_off_requests(state, desk.settings)
        (again,) = sign_off_requests(state, desk.settings)
        assert first.run_config == sign_off_run_config(RELEASE.name, DagsterNames())
        assert first.run_key == again.run_key
        assert (first.tags[ENVIRONMENT_TAG], first.tags[RELEASE_TAG]) == (RELEASE.environment, RELEASE.name)
        keys.append(first.run_key)
    assert len(set(keys)) == len(keys)
    assert list(sign_off_requests(state, desk.settings.model_copy(update={"environment": "elsewhere"}))) == []


def test_a_table_that_cannot_be_read_is_said_and_asks_for_nothing(desk):
    settings = desk.settings.model_copy(update={"tables": Tables(readiness="phase5-none")})
    watch = sign_off_watch(lambda: new_session(settings, "tick"), sign_off_job(DagsterNames()))
    said = watch(dg.build_sensor_context())
    assert isinstance(said, dg.SkipReason)
    assert "phase5 init" in str(said.skip_message)
