"""Reads what runs on the platform now: the functions with their version and CodeSha256, and the parameter that names the release.

See https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html: CodeSha256 is the hash of the deployment package
or of the container image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from phase5_ops.aws.reader import AwsReader
from phase5_ops.reads import Read, ReadStatus

IAM_ACTIONS = ("lambda:ListFunctions", "ssm:GetParameter")

FUNCTION, PARAMETER = "function", "parameter"


@dataclass(frozen=True, slots=True)
class Deployed:
    """One thing that runs: a function with its version and code, or the parameter with its version and value."""

    kind: str
    name: str
    version: str
    code: str


def read_deployed(reader: AwsReader, prefixes: Sequence[str], parameter: str | None) -> tuple[list[Deployed], list[Read]]:
    """What runs now, by kind and name, and how that was read.

    Args:
        reader: bounds and counts the calls.
        prefixes: what the platform's functions begin with.
        parameter: name of the SSM parameter that holds the digest of what is deployed, if there is one.
    """
    listed = reader.paginate("lambda", "list_functions", "all functions")
    found = [
        Deployed(FUNCTION, str(each["FunctionName"]), str(each.get("Version") or ""), str(each.get("CodeSha256") or ""))
        for each in listed.items("Functions")
        if str(each["FunctionName"]).startswith(tuple(prefixes))
    ]
    reads = [listed.read]
    if parameter is not None:
        answer = reader.call("ssm", "get_parameter", parameter, Name=parameter)
        reads.append(answer.read)
        if answer.read.status is ReadStatus.OK:
            value = answer.pages[0].get("Parameter") or {}
            found.append(Deployed(PARAMETER, parameter, str(value.get("Version") or ""), str(value.get("Value") or "").strip()))
    return sorted(found, key=lambda each: (each.kind, each.name)), reads
