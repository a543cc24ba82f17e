"""Who signs, asked of AWS: STS for the caller, CloudTrail for the session's SourceIdentity. What counts is in `identity.py`.

STS does not return the SourceIdentity. CloudTrail's records of this session's calls do (`userIdentity.sessionContext`), some
minutes late; they are asked only where the role's session names are not trusted by themselves.
"""

from collections.abc import Iterator
from typing import Any

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.signing.audit import event_in, mapping
from phase5_ops.gate.signing.identity import Refusal, SessionIdentity, identify
from phase5_ops.policy import SigningPolicy
from phase5_ops.reads import ReadStatus

#: What finding out who signs needs.
IAM_ACTIONS = ("cloudtrail:LookupEvents", "sts:GetCallerIdentity")

_EVENTS = 50  # of this access key, newest first: one is enough, and this is the most a call returns


def who_signs(reader: AwsReader, policy: SigningPolicy) -> SessionIdentity | Refusal:
    """The person behind the credentials of this process, or why nobody is known."""
    answer = reader.call("sts", "get_caller_identity", "caller")
    if answer.read.status is not ReadStatus.OK:
        return Refusal(f"{answer.read.operation}: {answer.read.status}: {answer.read.error}")
    caller = answer.pages[0]
    by_session = identify(caller, trusted_roles=policy.trusted_roles)
    if isinstance(by_session, SessionIdentity) or ":assumed-role/" not in str(caller.get("Arn")):
        return by_session
    found = _source_identities(reader, str(caller["Arn"]))
    if isinstance(found, Refusal):
        return Refusal(f"{by_session.reason}; {found.reason}")
    if len(found) != 1:
        seen = "several source identities" if found else "no source identity (its records are some minutes late)"
        return Refusal(f"{by_session.reason}; CloudTrail names {seen} for this session")
    return identify(caller, trusted_roles=policy.trusted_roles, source_identity=found.pop())


def _source_identities(reader: AwsReader, arn: str) -> set[str] | Refusal:
    """The source identities in CloudTrail's records of calls by this very session."""
    key = reader.access_key_id
    if key is None:
        return Refusal("no AWS credentials found")
    wanted = [{"AttributeKey": "AccessKeyId", "AttributeValue": key}]
    answer = reader.call("cloudtrail", "lookup_events", "own calls", LookupAttributes=wanted, MaxResults=_EVENTS)
    if answer.read.status is not ReadStatus.OK:
        return Refusal(f"{answer.read.operation}: {answer.read.status}: {answer.read.error}")
    return set(_named(answer.items("Events"), arn, key))


def _named(events: Any, arn: str, key: str) -> Iterator[str]:  # noqa: ANN401 - what CloudTrail answers
    for event in events:
        who = mapping((event_in(event) or {}).get("userIdentity"))  # a record that cannot be read names nobody
        name = mapping(who.get("sessionContext")).get("sourceIdentity")
        if who.get("arn") == arn and who.get("accessKeyId") == key and isinstance(name, str) and name:
            yield name
