"""Properties of changes_are_audited: dropping or adding any one record or entry turns exactly what it must."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.verdict import Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept
from phase5_ops_tests.sections.costs.changes.changed_platform import (
    ALLOWLIST,
    BUDGET,
    DEFAULT_MODE,
    MODE,
    SWITCHES,
    Platform,
    audited,
)

pytestmark = pytest.mark.slow

RECORDS = (MODE, DEFAULT_MODE, ALLOWLIST, BUDGET, SWITCHES)

changes = st.lists(
    st.tuples(st.sampled_from(RECORDS), st.floats(0.01, 29), st.sampled_from(["acme", "globex", "in#itech"])),
    min_size=1,
    max_size=12,
)


def platform_of(made: list[tuple[dict, float, str]]) -> Platform:
    """Each record of a tenant changed once, each with its entry."""
    platform, known = Platform(), set()
    for record, days_ago, tenant in made:
        own = _of(record, tenant)
        key = (own.get("pk", tenant), own.get("sk"))
        if key not in known:
            known.add(key)
            platform.changed(own, days_ago=days_ago)
    return platform


def _of(record: dict, tenant: str) -> dict:
    if "tenantId" in record:
        return record | {"tenantId": tenant}
    return record | {"tenant_id": tenant, "pk": record["pk"].replace("acme", tenant)}


@given(changes, st.data())
@settings(max_examples=60, deadline=None)
def test_each_entry_that_is_missing_is_missed_and_no_other(made, data):
    platform = platform_of(made)
    assert platform.judged().verdict is Verdict.PASS
    dropped = platform.entries.pop(data.draw(st.integers(0, len(platform.entries) - 1)))
    (finding,) = platform.judged().findings
    assert finding.code == "change_not_audited"
    assert finding.subject.startswith(dropped["tenantId"])


@given(changes, st.data())
@settings(max_examples=60, deadline=None)
def test_entries_of_changes_that_no_table_shows_any_more_turn_nothing(made, data):
    platform = platform_of(made)
    platform.records.pop(data.draw(st.integers(0, len(platform.records) - 1)))
    assert platform.codes() == ([] if platform.records else ["nothing_judged"])


def test_the_table_is_kept_whole(tmp_path):
    assert_kept(audited().table(), tmp_path)
