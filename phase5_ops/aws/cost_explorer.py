"""Reading Cost Explorer: costs by tenant and connector tag, the account's total, and which tags split costs. Judges nothing.

Every page costs $0.01, so nothing is asked twice: callers keep the answer (`sections/costs/bill/cache.py`). botocore has no
paginator for GetCostAndUsage; it finds the service's single endpoint per partition by itself, whatever region is read.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from phase5_ops.aws.cost_answers import METRICS, CostAnswers, CostQuery, CostTag
from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.reads import Read, ReadStatus

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("ce:GetCostAndUsage", "ce:ListCostAllocationTags")

BY_TAG, TOTAL, TAGS = "costs by tenant and connector", "account total", "cost allocation tags"


def read_costs(reader: AwsReader, query: CostQuery) -> tuple[CostAnswers, list[Read]]:
    """The grouped answer and the total of the same scope, with all their pages; no total is asked for after a failed answer."""
    answers = CostAnswers(query)
    groups = [{"Type": "TAG", "Key": key} for key in (query.tenant_tag, query.connector_tag)]
    reads = [_all_pages(reader, BY_TAG, answers.take_grouped, {**_request(query), "GroupBy": groups})]
    if reads[0].status is ReadStatus.OK:
        reads.append(_all_pages(reader, TOTAL, answers.take_total, _request(query)))
    return answers, reads


def _request(query: CostQuery) -> dict[str, Any]:
    request: dict[str, Any] = {
        "TimePeriod": {"Start": query.start.isoformat(), "End": query.end.isoformat()},
        "Granularity": "DAILY",
        "Metrics": list(METRICS),
    }
    scope = query.filter()
    return request | ({"Filter": scope} if scope else {})


def _all_pages(reader: AwsReader, resource: str, take: Callable[[Mapping[str, Any]], None], request: Mapping[str, Any]) -> Read:
    """Passes on every page; gives one read for all. A repeated token ends it, since it would page, and cost, for ever."""
    seen: set[str] = set()
    token: str | None = None
    pages, start = 0, None
    while True:
        further: Mapping[str, Any] = {"NextPageToken": token} if token else {}
        answer = reader.call("ce", "get_cost_and_usage", resource, **request, **further)
        start = start or answer.read.start
        read = replace(answer.read, pages=pages + answer.read.pages, start=start)
        if answer.read.status is not ReadStatus.OK:
            return read
        take(answer.pages[0])
        pages = read.pages
        token = answer.pages[0].get("NextPageToken")
        if not token:
            return read
        if token in seen:
            twice = "Cost Explorer gave the same NextPageToken twice"
            return replace(read, status=ReadStatus.INVALID, error=twice, end=iso(datetime.now(UTC)))
        seen.add(token)


def read_cost_tags(reader: AwsReader, keys: tuple[str, ...]) -> tuple[list[CostTag], Read]:
    """The cost allocation tags of these keys that exist; a member account of an organization may not ask (DENIED)."""
    answer = reader.paginate("ce", "list_cost_allocation_tags", TAGS, TagKeys=list(keys), Type="UserDefined")
    tags = [
        CostTag(str(entry.get("TagKey")), str(entry.get("Status")), entry.get("LastUpdatedDate"))
        for entry in answer.items("CostAllocationTags")
    ]
    return tags, answer.read
