"""Promotion as an SSM parameter that names the promoted release.

The parameter is read first, its history too: an order that is or was there is not written again, so that a late repeat never
puts an older release over a newer one. Parameters have no conditional write, so the version that our write made is compared: it
tells whether somebody else wrote between our reading and our writing.
"""

from collections.abc import Mapping
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.attestation.orders import Order, Publication, Published, key_in, message
from phase5_ops.gate.promotion.targets.answers import not_published, not_read
from phase5_ops.policy import PromotionPolicy
from phase5_ops.reads import ReadStatus

IAM_ACTIONS = ("ssm:GetParameterHistory", "ssm:PutParameter")


def publish(reader: AwsReader, policy: PromotionPolicy, order: Order) -> Published:
    """Writes the parameter unless this order is in its history."""
    name = policy.ssm_parameter or ""
    past = reader.paginate("ssm", "get_parameter_history", name, Name=name, WithDecryption=False)
    missing = past.read.status is ReadStatus.NOT_FOUND or (past.read.error or "").startswith("ParameterNotFound")
    if past.read.status is not ReadStatus.OK and not missing:
        return not_read(past.read)
    versions: list[Mapping[str, Any]] = past.items("Parameters")
    for version in versions:
        if key_in(version.get("Value")) == order.key:
            return Published(Publication.ALREADY, f"version {version.get('Version')} of {name}")
    latest = max((int(version.get("Version", 0)) for version in versions), default=0)
    written = reader.call(
        "ssm",
        "put_parameter",
        name,
        Name=name,
        Value=message(order).decode("ascii"),
        Type="String",
        Overwrite=bool(versions),  # without it a parameter that somebody made meanwhile is not written over
    )
    if written.read.status is not ReadStatus.OK:
        return not_published(written.read)
    version_now = int(written.pages[0].get("Version", 0))
    note = "" if version_now == latest + 1 else f"; somebody else wrote a version between {latest} and {version_now}"
    return Published(Publication.PUBLISHED, f"version {version_now} of {name}{note}")
