"""The dashboard that is printed for row 1.1: the reading of dashboards finds every metric on it, or it is not printed."""

import json

import pytest

from phase5_ops.remedies.model import CannotMend, MendingCase, NewDashboard
from phase5_ops.sections.slo.summary.judges.visible import judge_metrics_visible
from phase5_ops.sections.slo.summary.remedy import mend_dashboard
from phase5_ops.settings import Settings
from phase5_ops.verdict import Verdict
from phase5_ops_tests.aws.fake_cloudwatch import FakeCloudWatch
from phase5_ops_tests.sections.slo.summary.gathering import NOW, World, registry_item


def world(*tools, dashboards=None):
    made = World(
        FakeCloudWatch(dashboards=dashboards or {}), items=[registry_item(tool, f"ACTION_{n}") for n, tool in enumerate(tools)]
    )
    return made.steady(*tools).calls(tools[0], 10, failed=2, tenant="t'2")


def mended(made):
    tables = {"tool_slo_summary": made.summary(), "registered_tools": made.registered()}
    findings = made.judge(judge_metrics_visible).findings
    case = MendingCase(findings, tables, Settings(), "123456789012", made.cloudwatch.region, NOW)
    return list(mend_dashboard(case))


@pytest.mark.parametrize("tool", ["crm.create_task", "crm.$(touch x) ${y}"])
def test_with_the_dashboard_the_row_passes(tool):
    (remedy,) = mended(world(tool, "internal.create_note"))
    assert isinstance(remedy.resource, NewDashboard)
    after = world(tool, "internal.create_note", dashboards={remedy.resource.name: json.dumps(remedy.resource.body)})
    assert after.judge(judge_metrics_visible).verdict is Verdict.PASS
    assert mended(after) == []


def test_it_stands_beside_one_of_its_name():
    (remedy,) = mended(world("crm.create_task", dashboards={"cc-native-tool-slo": json.dumps({"widgets": []})}))
    assert remedy.resource.name == "cc-native-tool-slo-1"


@pytest.mark.parametrize("tool", ["crm." + "x" * 1100, "crm.o'neil", 'crm."x"', "crm.back\\slash"])
def test_a_name_that_no_search_is_sure_to_find_is_said(tool):
    (said,) = mended(world(tool))
    assert isinstance(said, CannotMend)
    assert "would not show" in said.why
    assert {code for code, _ in said.answers} == {"dashboard_missing"}
