"""Exports of a ledger of any size, as DynamoDB writes them, always the same for a size.

The mix is about that of a ledger which the platform's own code wrote: a third of the entries are of the types that a replay has
too, and one execution in fifty is a replay; the rest are proposals, policies, approvals and signals. They spread over 60 days and
200 tenants; a tenant's entries lie in one file, as those of a partition do.
"""

import base64
import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import repeat
from pathlib import Path

NEWEST = datetime(2026, 11, 23, 12, tzinfo=UTC)
FILES = 8
ID = "01795435200000-5eed5eed"
TABLE = "arn:aws:dynamodb:us-east-1:111122223333:table/cc-native-ledger"

_DAYS, _TENANTS = 60, 200
_DAY_MS = 86_400_000
_BEGINNING = 4  # entries of a proposal before the first of an execution, at least
_END = int(NEWEST.timestamp() * 1000)
_DATES = [f"{NEWEST - timedelta(days=ago):%Y-%m-%d}" for ago in range(_DAYS + 2)]
_MIDNIGHT = _END - _END % _DAY_MS
_ITEM = (
    '{{"Item":{{"eventType":{{"S":"{event}"}},"tenantId":{{"S":"{tenant}"}},"accountId":{{"S":"{account}"}},"traceId":{{"S":'
    '"{trace}"}},"data":{{"M":{{{data}}}}},"entryId":{{"S":"entry-{at}-{uuid}"}},"timestamp":{{"S":"{stamp}"}},"pk":{{"S":'
    '"TENANT#{tenant}"}},"sk":{{"S":"ENTRY#{stamp}#entry-{at}-{uuid}"}},"gsi1pk":{{"S":"TRACE#{trace}"}},"gsi1sk":{{"S":'
    '"{stamp}"}},"gsi2pk":{{"S":"TENANT#{tenant}"}},"gsi2sk":{{"S":"{stamp}"}}{more}}}}}\n'
).format
_POLICY = (
    '"action_ref":{{"S":"act_dec_{at}_0_{number}"}},"evaluation":{{"S":"ALLOWED"}},"reason_codes":{{"L":[{{"S":'
    '"LOW_RISK_CONFIDENCE_THRESHOLD_MET"}}]}},"confidence_threshold_met":{{"BOOL":true}},"policy_risk_tier":{{"S":"LOW"}},'
    '"approval_required":{{"BOOL":false}},"needs_human_input":{{"BOOL":false}},"llm_suggests_human_review":{{"BOOL":false}},'
    '"llm_risk_level":{{"S":"LOW"}}'
).format
_STARTED = (
    '"action_intent_id":{{"S":"{intent}"}},"attempt_id":{{"S":"attempt_{at}_{chance:.6}"}},"attempt_count":{{"N":"1"}},'
    '"idempotency_key":{{"S":"{chance}{chance}"}},"registry_version":{{"N":"1"}},"decision_trace_id":{{"S":"{decision}"}}'
).format
_EXECUTED = (
    '"action_intent_id":{{"S":"{intent}"}},"status":{{"S":"SUCCEEDED"}},"external_object_refs":{{"L":[{{"M":{{"system":{{"S":'
    '"INTERNAL"}},"object_type":{{"S":"Task"}},"object_id":{{"S":"task_{at}_{chance:.6}"}}}}}}]}},"registry_version":{{"N":"1"}},'
    '"decision_trace_id":{{"S":"{decision}"}},"attempt_count":{{"N":"1"}}'
).format
_FAILED = (
    '"action_intent_id":{{"S":"{intent}"}},"error_class":{{"S":"TIMEOUT"}},"error_code":{{"S":"TOOL_TIMEOUT"}},"error_message":'
    '{{"S":"no answer within 30000 ms"}},"decision_trace_id":{{"S":"{decision}"}},"registry_version":{{"N":"1"}}'
).format
_SIGNAL = (
    '"signalId":{{"S":"exec-{intent}-{account}-ACTION_EXECUTED"}},"signalType":{{"S":"ACTION_EXECUTED"}},"confidence":{{"N":"1"}},'
    '"severity":{{"S":"low"}}'
).format
_REFERENCES = (
    ',"evidenceRefs":{{"L":[{{"M":{{"type":{{"S":"s3"}},"location":{{"S":"execution://{tenant}/{account}/{intent}"}},"timestamp":'
    '{{"S":"{stamp}"}}}}}}]}}'
).format
_REPLAY = (
    '"action_intent_id":{{"S":"{intent}"}},"replay_reason":{{"S":"recovery after outage"}},"requested_by":{{"S":'
    '"ops@alpha.example"}}'
).format


def write_export(entries: int, root: Path) -> Path:
    """A full export of so many entries below `root`; returns its folder."""
    folder = root / "AWSDynamoDB" / ID
    (folder / "data").mkdir(parents=True)
    shares = [entries // FILES + (number < entries % FILES) for number in range(FILES)]
    with ProcessPoolExecutor() as processes:
        named = list(processes.map(_write_file, repeat(folder), range(FILES), shares))
    files = "".join(json.dumps(each) + "\n" for each in named).encode()
    summary = {
        "version": "2020-06-30",
        "exportArn": f"{TABLE}/export/{ID}",
        "tableArn": TABLE,
        "tableId": "12345a12-abcd-123a-ab12-1234abc12345",
        "exportTime": NEWEST.isoformat(),
        "manifestFilesS3Key": f"AWSDynamoDB/{ID}/manifest-files.json",
        "itemCount": entries,
        "outputFormat": "DYNAMODB_JSON",
    }
    for name, content in (("files", files), ("summary", json.dumps(summary).encode())):
        (folder / f"manifest-{name}.json").write_bytes(content)
        (folder / f"manifest-{name}.md5").write_text(_md5(content), encoding="ascii")
    return folder


def _md5(content: bytes) -> str:
    return base64.b64encode(hashlib.md5(content).digest()).decode()


def _write_file(folder: Path, number: int, entries: int) -> dict[str, object]:
    """One data file, and its line of the manifest."""
    path = folder / "data" / f"{number:08}.json.gz"
    made, left = stories(number), entries
    with gzip.open(path, "wb", compresslevel=1) as file:
        while left:
            story = next(made)
            if len(story) > left:
                story = story[: min(left, _BEGINNING)]  # no execution is cut in two
            left -= len(story)
            file.write("".join(story).encode())
    key = f"AWSDynamoDB/{ID}/data/{path.name}"
    return {"itemCount": entries, "md5Checksum": _md5(path.read_bytes()), "etag": f"{number}-1", "dataFileS3Key": key}


def stories(number: int) -> Iterator[list[str]]:
    """The entries of one proposal after the other, without end, as lines of data file `number`."""
    random_bits = random.Random(number).getrandbits
    count = 0
    while True:
        yield _story(count, number, f"{random_bits(128 * 18):0576x}", random_bits(48))
        count += 1


def _stamp(at: int) -> str:
    days, ms = divmod(at - _MIDNIGHT, _DAY_MS)
    seconds, ms = divmod(ms, 1000)
    minutes, second = divmod(seconds, 60)
    return f"{_DATES[-days]}T{minutes // 60:02}:{minutes % 60:02}:{second:02}.{ms:03}Z"


def _story(count: int, file: int, chance: str, when: int) -> list[str]:
    tenant, account = f"tenant-{count % (_TENANTS // FILES) * FILES + file:03}", f"acct-{count % 7}"
    began = _END - 8_000_000 - when % ((_DAYS - 1) * _DAY_MS)
    decision, intent = f"trace-{began}-decision-{count}", f"ai_{began}_{chance[:6]}"
    lines: list[str] = []

    def add(event: str, at: int, trace: str, data: str, more: str = "") -> None:
        bits = chance[len(lines) * 32 : len(lines) * 32 + 32]
        uuid = f"{bits[:8]}-{bits[8:12]}-{bits[12:16]}-{bits[16:20]}-{bits[20:]}"
        lines.append(
            _ITEM(
                event=event, tenant=tenant, account=account, trace=trace, data=data, at=at, uuid=uuid, stamp=_stamp(at), more=more
            )
        )  # fmt: skip

    def execute(at: int, *, replay: bool, fails: bool) -> None:
        trace = f"trace-{at}-{chance[8:16]}-{chance[16:20]}-{chance[20:24]}-{chance[24:28]}-{chance[-12:]}"
        about = _REPLAY(intent=intent)
        if replay:
            add("REPLAY_REQUESTED", at - 800, f"replay-request-{at - 800}-{intent}", about)
            add("REPLAY_STARTED", at, trace, about + f',"attempt_id":{{"S":"attempt_{at}_{chance[:6]}"}}')
        add("EXECUTION_STARTED", at + 30, trace, _STARTED(intent=intent, at=at, chance=chance[32:64], decision=decision))
        if fails:
            add("ACTION_FAILED", at + 900, trace, _FAILED(intent=intent, decision=decision))
            return
        add("ACTION_EXECUTED", at + 900, trace, _EXECUTED(intent=intent, at=at, chance=chance[64:70], decision=decision))
        if replay:
            add("REPLAY_COMPLETED", at + 950, trace, about + ',"status":{"S":"SUCCEEDED"}')
        references = _REFERENCES(tenant=tenant, account=account, intent=intent, stamp=_stamp(at + 940))
        add("SIGNAL", at + 980, trace, _SIGNAL(intent=intent, account=account), references)

    if count % 2:
        status = f'"evaluation_id":{{"S":"ev_{began}"}},"trigger_type":{{"S":"MANUAL"}},"status":{{"S":"ACCEPTED"}}'
        add("DECISION_EVALUATION_REQUESTED", began, decision, status)
    proposal = f'"decision_id":{{"S":"dec_{began}_0"}},"decision_type":{{"S":"PROPOSE_ACTIONS"}},"action_count":{{"N":"2"}}'
    add("DECISION_PROPOSED", began + 200, decision, proposal)
    for number in range(2):
        add("POLICY_EVALUATED", began + 210 + number, decision, _POLICY(at=began, number=number))
    approval = f'"action_intent_id":{{"S":"{intent}"}},"decision_id":{{"S":"dec_{began}_0"}},"edited_fields":{{"L":[]}}'
    add("ACTION_APPROVED", began + 5000, decision, approval)
    if count % 2:
        execute(began + 6000, replay=False, fails=True)
    execute(began + 60_000, replay=False, fails=False)
    if count % 33 == 0:
        execute(began + 3_600_000, replay=True, fails=False)
    return lines
