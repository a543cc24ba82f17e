"""Links to the AWS console of the right region and partition, for findings and evidence. Pure string building."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from urllib.parse import quote as _quote
from urllib.parse import urlencode

quote = partial(_quote, errors="surrogatepass")  # a name of CloudWatch or of a log group may be any JSON text


@dataclass(frozen=True, slots=True)
class ConsoleLinks:
    """Builds console URLs for one region (`us-west-2`); partitions of China and GovCloud have hosts of their own."""

    region: str

    @property
    def _host(self) -> str:
        if self.region.startswith("cn-"):
            return "console.amazonaws.cn"
        if self.region.startswith("us-gov-"):
            return "console.amazonaws-us-gov.com"
        return f"{self.region}.console.aws.amazon.com"

    def _page(self, service: str, fragment: str) -> str:
        return f"https://{self._host}/{service}/home?region={self.region}#{fragment}"

    def metric(self, namespace: str, search: str = "") -> str:
        """The CloudWatch metrics browser, filtered to a namespace and a search text (a tool or connector name)."""
        terms = " ".join(part for part in (namespace, search) if part)
        return self._page("cloudwatch", f"metricsV2?graph=~()&query=~'{quote(terms, safe='')}")

    def alarm(self, name: str) -> str:
        """The page of one alarm."""
        return self._page("cloudwatch", f"alarmsV2:alarm/{quote(name, safe='')}")

    def alarms(self) -> str:
        """The list of alarms."""
        return self._page("cloudwatch", "alarmsV2:")

    def dashboard(self, name: str) -> str:
        """The page of one dashboard."""
        return self._page("cloudwatch", f"dashboards/dashboard/{quote(name, safe='')}")

    def dashboards(self) -> str:
        """The list of dashboards."""
        return self._page("cloudwatch", "dashboards")

    def log_group(self, name: str) -> str:
        """The page of one log group."""
        return self._page("cloudwatch", f"logsV2:log-groups/log-group/{quote(quote(name, safe=''), safe='').replace('%', '$')}")

    def table(self, name: str) -> str:
        """The item explorer of one DynamoDB table."""
        return self._page("dynamodbv2", f"item-explorer?table={quote(name, safe='')}")

    def s3_object(self, bucket: str, key: str) -> str:
        """The page of one object of a bucket."""
        return f"https://{self._host}/s3/object/{quote(bucket)}?region={self.region}&prefix={quote(key, safe='/')}"

    def s3_folder(self, bucket: str, prefix: str) -> str:
        """The objects of a bucket whose keys begin so; `prefix` ends with a slash."""
        return f"https://{self._host}/s3/buckets/{quote(bucket)}?region={self.region}&prefix={quote(prefix, safe='/')}"

    def item(self, table: str, pk: str, sk: str) -> str:
        """One item (pk, sk) of a DynamoDB table."""
        return self._page(
            "dynamodbv2",
            f"edit-item?table={quote(table, safe='')}&itemMode=2&pk={quote(pk, safe='')}&sk={quote(sk, safe='')}",
        )

    def topic(self, arn: str) -> str:
        """The page of one SNS topic."""
        return f"https://{self._host}/sns/v3/home?region={self.region}#/topic/{quote(arn, safe=':')}"

    @property
    def _billing_host(self) -> str:
        """Billing has one console per partition."""
        return self._host.replace(self.region, "us-east-1") if self._host.endswith(".aws.amazon.com") else self._host

    def cost_explorer(
        self,
        first: date,
        last: date,
        *,
        tag: str,
        metric: str = "UnblendedCost",
        value: str | None = None,
        accounts: Sequence[str] = (),
        services: Sequence[str] = (),
    ) -> str:
        """Cost Explorer, filled in: daily costs by the values of `tag` from `first` to `last`, both included.

        Args:
            first: first day shown.
            last: last day shown.
            tag: cost allocation tag to group by.
            metric: `UnblendedCost` or `AmortizedCost`.
            value: only this value of the tag; "" for costs without the tag.
            accounts: only these linked accounts.
            services: only these services.
        """
        filters = [_cost_filter("LinkedAccount", "Linked account", accounts)] if accounts else []
        filters += [_cost_filter("Service", "Service", services)] if services else []
        if value is not None:
            filters.append({**_cost_filter("TagKey", "Tag", [value]), "growableValue": {"value": tag, "displayValue": tag}})
        query = {
            "chartStyle": "STACK",
            "costAggregate": "amortizedCost" if metric == "AmortizedCost" else "unBlendedCost",
            "startDate": first.isoformat(),
            "endDate": last.isoformat(),
            "excludeForecasting": "true",
            "filter": json.dumps(filters, separators=(",", ":")),
            "futureRelativeRange": "CUSTOM",
            "granularity": "Daily",
            "groupBy": json.dumps([f"TagKeyValue:{tag}"]),
            "historicalRelativeRange": "CUSTOM",
            "reportMode": "STANDARD",
            "showOnlyUncategorized": "false",
            "showOnlyUntagged": "false",
        }
        asked = urlencode(query, quote_via=_quote, errors="surrogatepass")
        return f"https://{self._billing_host}/costmanagement/home#/cost-explorer?{asked}"

    def cost_allocation_tags(self) -> str:
        """The list of cost allocation tags."""
        return f"https://{self._billing_host}/billing/home#/tags"

    def budgets(self) -> str:
        """The list of budgets."""
        return f"https://{self._billing_host}/billing/home#/budgets/overview"


def _cost_filter(dimension: str, label: str, values: Sequence[str]) -> dict[str, object]:
    return {
        "dimension": {"id": dimension, "displayValue": label},
        "operator": "INCLUDES",
        "values": [{"value": value, "displayValue": value} for value in values],
    }
