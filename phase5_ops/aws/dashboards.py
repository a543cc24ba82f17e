"""Reading CloudWatch dashboards: all names, and the body of each. Judges nothing."""

from concurrent.futures import ThreadPoolExecutor

from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read

#: The IAM actions that this reader needs.
IAM_ACTIONS = ("cloudwatch:ListDashboards", "cloudwatch:GetDashboard")

_PARALLEL_CALLS = 4


def read_dashboards(reader: AwsReader) -> tuple[dict[str, str], list[Read]]:
    """Bodies (JSON text) of the dashboards by name, and the reads; one whose body could not be read is in the reads only."""
    listing = reader.paginate("cloudwatch", "list_dashboards", "all dashboards")
    names = sorted({entry["DashboardName"] for entry in listing.items("DashboardEntries")})
    with ThreadPoolExecutor(_PARALLEL_CALLS, thread_name_prefix="dashboards") as pool:
        answers = list(pool.map(lambda name: reader.call("cloudwatch", "get_dashboard", name, DashboardName=name), names))
    bodies = {name: str(page.get("DashboardBody")) for name, answer in zip(names, answers, strict=True) for page in answer.pages}
    return bodies, [listing.read, *(answer.read for answer in answers)]
