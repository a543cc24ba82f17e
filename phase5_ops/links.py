"""Links to the AWS console of the right region and partition, for findings and evidence. Pure string building."""

from dataclasses import dataclass
from urllib.parse import quote


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

    def item(self, table: str, pk: str, sk: str) -> str:
        """One item (pk, sk) of a DynamoDB table."""
        return self._page(
            "dynamodbv2",
            f"edit-item?table={quote(table, safe='')}&itemMode=2&pk={quote(pk, safe='')}&sk={quote(sk, safe='')}",
        )

    def topic(self, arn: str) -> str:
        """The page of one SNS topic."""
        return f"https://{self._host}/sns/v3/home?region={self.region}#/topic/{quote(arn, safe=':')}"
