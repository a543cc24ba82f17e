"""Who asks, in which account and region; whether the platform is there; and whether this machine's clock is right."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from phase5_ops.aws.reader import Answer
from phase5_ops.aws.tables import describe_table_once
from phase5_ops.doctor.examination import AwsCaller, Installation, note, ok, problem, unknown
from phase5_ops.gate.inputs.install_check import Checked
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import Settings, in_sandbox

IAM_ACTIONS = ("dynamodb:DescribeTable", "sts:GetCallerIdentity")

_SKEW = timedelta(seconds=60)  # AWS takes signatures five minutes old; the gate compares its own moments with those of KMS
_RESOLUTION = timedelta(seconds=1)  # of a Date header
_CLOCK_REMEDY = "have chrony or systemd-timesyncd set this machine's clock"


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """AWS's answer to who asks, with this machine's clock before and after it."""

    answer: Answer
    before: datetime
    after: datetime
    region: str

    @property
    def caller(self) -> AwsCaller | None:
        """Who asks; None where AWS did not say so."""
        if self.answer.read.status is not ReadStatus.OK:
            return None
        return AwsCaller(str(self.answer.pages[0].get("Account")), str(self.answer.pages[0].get("Arn")))


def ask_who(installation: Installation) -> IdentityAnswer:
    """Asks STS who asks."""
    reader = installation.session().reader
    before = datetime.now(UTC)
    answer = reader.call("sts", "get_caller_identity", "caller")
    return IdentityAnswer(answer, before, datetime.now(UTC), reader.region)


def look_at_settings(settings: Settings) -> Iterator[Checked]:
    """The settings are valid when this is called; a fixed clock is no setting of a production gate."""
    where = f"environment {settings.environment}{', an embedded sandbox' if in_sandbox(settings) else ''}"
    yield ok(f"every setting is known and valid: {where}")
    if settings.now is not None:
        text = f"PHASE5_NOW={settings.now.isoformat()} fixes the clock: under it nothing is promoted, signed or waived"
        yield note(text) if in_sandbox(settings) else problem(text, "unset PHASE5_NOW")


def look_at_credentials(asked: IdentityAnswer) -> Iterator[Checked]:
    """Whose credentials they are, and the region that is read."""
    read, caller = asked.answer.read, asked.caller
    if caller is not None:
        yield ok(f"{caller.arn} in region {asked.region}")
        if caller.arn.endswith(":root"):
            yield problem(f"{caller.arn} is the account itself, which no policy limits", "use a role")
        return
    text = f"AWS did not identify the caller ({read.operation}: {read.status}: {read.error})"
    if read.status is ReadStatus.DENIED or _is_late(read):
        yield problem(text, "set valid credentials, e.g. with AWS_PROFILE or the role of the machine, or log in again")
    else:
        yield unknown(text, f"check the network, AWS_REGION ({asked.region}) and AWS_ENDPOINT_URL")


def look_at_clock(asked: IdentityAnswer) -> Iterator[Checked]:
    """This machine's clock beside the Date header of the answer."""
    if asked.caller is None:
        late = _is_late(asked.answer.read)
        text = "AWS refused the call by its time" if late else "not compared, since AWS did not answer"
        yield problem(text, _CLOCK_REMEDY) if late else unknown(text, "see the part credentials")
        return
    header = (asked.answer.pages[0].get("ResponseMetadata") or {}).get("HTTPHeaders", {}).get("date")
    try:
        aws = parsedate_to_datetime(str(header)).astimezone(UTC)
    except ValueError:
        yield unknown(f"the answer has no Date header that can be read: {header!r}", "look at the proxy between here and AWS")
        return
    ahead, behind = asked.before - aws - _RESOLUTION, aws - asked.after
    skew = max(ahead, behind, timedelta())
    if skew > _SKEW:
        side = "ahead of" if ahead > behind else "behind"
        yield problem(f"this machine's clock is {skew.total_seconds():.0f} s {side} that of AWS", _CLOCK_REMEDY)
    else:
        yield ok(f"this machine's clock differs from that of AWS by {skew.total_seconds():.0f} s")


def look_at_platform(installation: Installation) -> Iterator[Checked]:
    """Tables of the platform: in another account or region they are not there."""
    reader, tables = installation.session().reader, installation.settings.tables
    for name in (tables.ledger, tables.resilience):
        read = describe_table_once(reader, name).read
        if read.status is ReadStatus.OK:
            yield ok(f"table {name} is there")
        elif read.status is ReadStatus.NOT_FOUND:
            remedy = "set AWS_REGION and the credentials to those of the platform, or the name with PHASE5_TABLES__*"
            yield problem(f"table {name} is not in this account and region", remedy)
        else:
            yield unknown(f"{read.operation} {name}: {read.status}: {read.error}")


def _is_late(read: Read) -> bool:
    """Whether AWS refused a signature by its time."""
    return any(text in str(read.error) for text in ("Signature expired", "Signature not yet current", "RequestTimeTooSkewed"))
