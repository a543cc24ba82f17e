"""A Control Center that answers slowly; in a module of its own, since another sandbox may still execute something in its AWS."""

import time

import pytest

from phase5_ops.sandbox.control_center import server as control_center_server
from phase5_ops.sandbox.server import Sandbox
from phase5_ops.sandbox.state.platform_faults import PlatformFault
from phase5_ops_tests.sandbox.ccnative.stored_items import Ccnative

pytestmark = [pytest.mark.slow, pytest.mark.over_sockets]


@pytest.mark.parametrize("fault", [PlatformFault.SLOW, PlatformFault.DRIP])
def test_a_slow_control_center_outlasts_its_caller_but_not_the_sandbox(fault, monkeypatch):
    with Sandbox("healthy") as sandbox:
        platform = Ccnative(sandbox)
        platform.platform_faults.add(fault)
        monkeypatch.setattr(control_center_server, "DRIP_SECONDS", 30.0)
        with pytest.raises(TimeoutError):
            platform.request("POST", "/replay", {}, token=platform.token, timeout=0.2)
        ending = time.perf_counter()
    assert time.perf_counter() - ending < 5
