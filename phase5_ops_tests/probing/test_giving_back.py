"""What a run holds is given back however its taking ended: an interrupt may come in the very moment."""

from types import SimpleNamespace

import pytest

from phase5_ops.policy import ProbePolicy
from phase5_ops.sections.isolation.harness import starting as harness_start
from phase5_ops.sections.replay.probes import sending as probe_sending
from phase5_ops.settings import Tables
from phase5_ops_tests.gate.own_aws import NOW


@pytest.fixture
def platform(monkeypatch):
    configured = SimpleNamespace(tenant_a="a", tenant_b="b")
    for part in (harness_start, probe_sending):
        monkeypatch.setattr(part, "require_settings", lambda _: configured)
        monkeypatch.setattr(part.stops, "require_no_stop", lambda *_: [])
    settings = SimpleNamespace(probes=ProbePolicy(), tables=Tables(), probe_mode="full", probes_partition="PROBES")
    return SimpleNamespace(settings=settings, reader=None, run_id="run-1", at_end={}, now=lambda: NOW)


def interrupted(*_, **__):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("part", "begin"),
    [
        (harness_start, lambda platform: harness_start._Starting(platform, lambda: 0.0).start()),
        (probe_sending, lambda platform: probe_sending._Sending(platform, lambda: 0.0).send_all()),
    ],
    ids=["isolation", "replay"],
)
def test_a_lease_that_is_taken_while_the_run_is_interrupted_is_given_back_at_its_end(platform, monkeypatch, part, begin):
    monkeypatch.setattr(part.leases, "acquire", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(platform)
    assert part.LEASE_USER in platform.at_end
