"""What CloudWatch answers of metrics, their dimension sets and data: row 1.1, tool_slo_met, error_budget_not_burning."""

import json
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from phase5_ops.aws.reader import Answer
from phase5_ops.clock import iso
from phase5_ops.reads import ReadStatus
from phase5_ops.sections.slo.summary.judges.burn import judge_budget_not_burning
from phase5_ops.sections.slo.summary.judges.met import judge_slo_met
from phase5_ops.sections.slo.summary.judges.visible import MetricsCase, judge_metrics_visible
from phase5_ops.verdict import Verdict
from phase5_ops_tests.aws.fake_cloudwatch import FakeCloudWatch
from phase5_ops_tests.fuzz.aws_answers import UNREADABLE, answered
from phase5_ops_tests.fuzz.source import Source
from phase5_ops_tests.sections.slo.summary.gathering import LINKS, NAMESPACE, World

READS = "ListMetrics and GetMetricData (`aws/metrics`, `sections/slo/summary`)"
MALFORMED = "a read that is not OK, or a blocking finding; what is incomplete never passes all three checks"

_OPERATIONS = {"list_metrics": "ListMetrics", "get_metric_data": "GetMetricData"}
_SOUND: dict[str, Answer] = {}
_JUDGES = (judge_metrics_visible, judge_slo_met, judge_budget_not_burning)
#: What makes a result one that does not count.
BROKEN: dict[str, tuple[Any, ...]] = {
    "StatusCode": ("PartialData", "InternalError", "Forbidden", "", "complete"),
    "Values": ([], [float("nan")], [float("inf")], [1.0] * 5_000),
    "Messages": ([{"Code": "x", "Value": "y"}], [{}]),
}


@dataclass
class AlteredCloudWatch(FakeCloudWatch):
    """Its answers of metrics have a few places changed."""

    source: Source = field(default_factory=lambda: Source(b""))
    broken: bool = False

    def paginate(self, service: str, operation: str, resource: str, **params: Any) -> Answer:
        """The sound answer, found once, with what is drawn changed in it."""
        key = f"{operation} {resource} {params}"
        if key not in _SOUND:
            _SOUND[key] = super().paginate(service, operation, resource, **params)
        whole = _SOUND[key]
        if operation not in _OPERATIONS:
            return whole
        pages = []
        try:
            for page in whole.pages:
                pages.append(answered("cloudwatch", _OPERATIONS[operation], self._altered(operation, page)))
        except UNREADABLE as error:
            return Answer(pages, replace(whole.read, status=ReadStatus.INVALID, error=str(error)[:200]))
        return Answer(pages, whole.read)

    call = paginate

    def _altered(self, operation: str, page: Any) -> str:
        text = json.dumps(page, default=iso)
        if self.broken and operation == "get_metric_data":
            said = json.loads(text)
            name = self.source.one_of(sorted(BROKEN))
            for result in said["MetricDataResults"]:
                result[name] = self.source.one_of(BROKEN[name]) if result["Values"] or name != "Values" else [1.0]
            return json.dumps(said)
        return self.source.json_text(self.source.changed(json.loads(text))) if self.source.chance(2) else text


@cache
def _sound() -> World:
    return World().steady(hours=24, each=2)


def fuzz(data: bytes) -> None:
    """Judges altered answers; metrics that are surely incomplete never pass."""
    source = Source(data)
    broken, sound = source.chance(2), _sound()
    cloudwatch = AlteredCloudWatch(
        points=sound.cloudwatch.points, dashboards=sound.cloudwatch.dashboards, source=source, broken=broken
    )
    world = replace(sound, cloudwatch=cloudwatch)
    case = MetricsCase(world.summary(), world.registered(), world.policy, world.now, LINKS, NAMESPACE)
    verdicts = [judge(case).verdict for judge in _JUDGES]
    assert data or set(verdicts) == {Verdict.PASS}, f"the sound answers do not pass: {verdicts}"
    assert not broken or verdicts != [Verdict.PASS] * len(_JUDGES), "answers that are surely incomplete pass"
