"""audit_export_is_whole: what a file is compared with, and what the judge makes of it; without a platform."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from boto3.dynamodb.types import TypeSerializer
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.aws.links import ConsoleLinks
from phase5_ops.ccnative.audit_exports import KEYS, MalformedExport, differing, entries_of_export
from phase5_ops.clock import iso
from phase5_ops.policy import ExportPolicy
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.sandbox.state.records import ledger_entry
from phase5_ops.sections.isolation.exports.evidence import AUDIT_EXPORT, AuditExport, ExportFacts, compared_entries
from phase5_ops.sections.isolation.exports.filler import LENGTH, NUMBER, filler_entries
from phase5_ops.sections.isolation.exports.judge import judge_export
from phase5_ops.sections.isolation.exports.preview import PREVIEW
from phase5_ops.sections.isolation.exports.requesting import checked_link
from phase5_ops.verdict import Judgement, Verdict
from phase5_ops_tests.evidence.kept_tables import assert_kept

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LINKS = ConsoleLinks("us-west-2")
TENANT = "canary-a"
READS = [Read("dynamodb:Query", "ledger", ReadStatus.OK, None, 2, iso(NOW), iso(NOW))]


def plain(number: int, **more: object) -> dict:
    data = {"action_intent_id": f"ai_{number}", "attempt_count": number, "score": Decimal("0.85"), "refs": [], "none": None}
    return ledger_entry(
        "ACTION_EXECUTED", tenant=TENANT, account="eu", trace_id="t", at=NOW, unique=f"{number:03d}", data=data | more
    )


def held(entries: list[dict]) -> list[dict]:
    return [{name: TypeSerializer().serialize(value) for name, value in entry.items()} for entry in entries]


def exported(entry: dict) -> dict:
    shown = {name: value for name, value in entry.items() if name not in KEYS}
    return shown | {"data": {name: float(v) if isinstance(v, Decimal) else v for name, v in shown["data"].items()}}


def judged(items: list[dict], file: list[dict], pages: int = 2, **facts: object) -> Judgement:
    return judge_export(table(items, file, pages, **facts), policy=ExportPolicy(), links=LINKS)


def table(items: list[dict], file: list[dict], pages: int = 2, **facts: object) -> AuditExport:
    known = ExportFacts(tenant=TENANT, export_id="exp-1", ledger="ledger", ledger_pages=pages, compared=True)
    return AUDIT_EXPORT.gathered(compared_entries(items, file), replace(known, **facts)).with_reads(READS, NOW)


def codes(judgement: Judgement) -> list[str]:
    return [finding.code for finding in judgement.findings]


ENTRIES = [plain(number) for number in range(5)]


def test_a_whole_export_passes_in_any_order_and_with_the_tables_keys():
    file = [exported(entry) for entry in reversed(ENTRIES)]
    assert judged(held(ENTRIES), file).verdict is Verdict.PASS
    keyed = [exported(entry) | {name: entry[name] for name in KEYS & entry.keys()} for entry in ENTRIES]
    assert judged(held(ENTRIES), keyed).verdict is Verdict.PASS


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_key_in_the_file_that_is_not_the_items_own_is_an_alteration(key):
    file = [exported(entry) for entry in ENTRIES]
    file[0] |= {key: "TENANT#globex"}
    assert codes(judged(held(ENTRIES), file)) == ["export_entries_altered"]


@given(st.integers(0, 4), st.sampled_from(["missing", "doubled", "altered", "foreign", "invented"]))
@settings(max_examples=40, deadline=None)
def test_one_entry_more_less_or_otherwise_is_exactly_one_finding(place, kind):
    file = [exported(entry) for entry in ENTRIES]
    if kind == "missing":
        del file[place]
    elif kind == "doubled":
        file.append(file[place])
    elif kind == "altered":
        file[place]["timestamp"] = "2026-11-23T12:00:00.001Z"
    elif kind == "foreign":
        file.append(file[place] | {"entryId": "x", "tenantId": "globex"})
    else:
        file.append(file[place] | {"entryId": "x"})
    expected = {
        "missing": "export_entries_missing",
        "doubled": "export_entries_doubled",
        "altered": "export_entries_altered",
        "foreign": "export_names_other_tenant",
        "invented": "export_entries_unknown",
    }
    assert codes(judged(held(ENTRIES), file)) == [expected[kind]]


def test_an_entry_that_another_tenant_claims_is_both_altered_and_anothers():
    file = [exported(entry) for entry in ENTRIES]
    file[2]["tenantId"] = "globex"
    assert codes(judged(held(ENTRIES), file)) == ["export_entries_altered", "export_names_other_tenant"]
    file = [exported(entry) for entry in ENTRIES]
    file.append(file[0] | {"tenantId": "globex"})
    assert codes(judged(held(ENTRIES), file)) == [
        "export_entries_altered",
        "export_entries_doubled",
        "export_names_other_tenant",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"data": exported(ENTRIES[0])["data"] | {"attempt_count": "0"}},
        {"data": exported(ENTRIES[0])["data"] | {"attempt_count": False}},
        {"data": exported(ENTRIES[0])["data"] | {"score": 0.8500001}},
        {"data": exported(ENTRIES[0])["data"] | {"refs": {}}},
        {"data": exported(ENTRIES[0])["data"] | {"none": ""}},
        {"accountId": None},
        {"more": 1},
    ],
)
def test_a_value_of_another_kind_is_altered(change):
    assert differing(held(ENTRIES)[0], exported(ENTRIES[0]) | change) == [*change]


def test_a_page_alone_does_not_decide_and_nothing_exported_of_something_is_missing():
    file = [exported(entry) for entry in ENTRIES]
    one_page = judged(held(ENTRIES), file, pages=1)
    assert (one_page.verdict, codes(one_page)) == (Verdict.INCONCLUSIVE, ["export_within_one_page"])
    assert codes(judged(held(ENTRIES), [])) == ["export_entries_missing"]
    assert codes(judged([], [], pages=0)) == ["export_within_one_page"]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[", "{}", "null", "[1]", "[{}]", '[{"entryId": ""}]', '[{"entryId": 5}]', "[" * 5000, '"\ud800"', "a,b\n1,2"],
)
def test_what_is_no_export_is_said_to_be_none(text):
    with pytest.raises(MalformedExport):
        entries_of_export(text)


def test_ledger_items_of_any_shape_are_compared_without_a_crash():
    for item in ({"entryId": {"S": "x"}, "data": 5}, {"entryId": {"S": "x"}, "data": {"N": "NaN"}}, {"data": {"B": b"1"}}):
        assert differing(item, {"entryId": "x", "data": 5})


def test_what_could_not_be_read_and_what_kept_the_export_away_is_said():
    failed = AUDIT_EXPORT.gathered([], ExportFacts(ledger="ledger")).with_reads(
        [replace(READS[0], status=ReadStatus.DENIED, error="no")], NOW
    )
    assert codes(judge_export(failed, policy=ExportPolicy(), links=LINKS)) == ["read_failed"]
    told = {"code": "probes_off", "subject": "PHASE5_PROBE_MODE", "expected": "full", "seen": "off"}
    off = AUDIT_EXPORT.gathered([], ExportFacts(obstacle=told)).with_reads([], NOW)
    judgement = judge_export(off, policy=ExportPolicy(), links=LINKS)
    assert (judgement.verdict, codes(judgement)) == (Verdict.INCONCLUSIVE, ["probes_off"])


FILE = "canary-a/exp-1.json"
S3 = "https://cc-native-exports.s3.us-west-2.amazonaws.com/audit-exports/canary-a/exp-1.json?X-Amz-Signature=1"
HERE = "http://127.0.0.1:5000"


@pytest.mark.parametrize(
    "url",
    [
        "https://cc-native-exports.s3.us-west-2.amazonaws.com/{}?X-Amz-Signature=1",
        "https://s3.us-west-2.amazonaws.com/bucket/{}?Signature=1",
        "https://s3.amazonaws.com/bucket/{}?X-Amz-Signature=1",
        "https://b.s3-us-west-2.amazonaws.com/{}?X-Amz-Signature=1",
        "https://b.s3.dualstack.us-west-2.amazonaws.com/{}?X-Amz-Signature=1",
        "https://b.s3.cn-north-1.amazonaws.com.cn/{}?X-Amz-Signature=1",
        "https://b.s3.us-west-2.amazonaws.com:443/{}?X-Amz-Signature=1",
        HERE + "/bucket/{}?X-Amz-Signature=1",
    ],
)
def test_links_to_s3_and_to_the_embedded_aws_are_followed(url):
    assert checked_link(url.format("audit-exports/canary-a/exp-1.json"), HERE, FILE)[1] is None


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        5,
        "http://b.s3.us-west-2.amazonaws.com/key",  # not encrypted
        "https://b.s3.us-west-2.amazonaws.com:8443/key",
        "https://b.s3.us-west-2.amazonaws.com.evil.example/key",
        "https://evil.example/s3.amazonaws.com",
        "https://s3.amazonaws.com@evil.example/key",
        "https://user:word@s3.amazonaws.com/key",
        "https://evils3.amazonaws.com/key",
        "https://s3.execute-api.evil.us-west-2.x.amazonaws.com/key",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:5001/key",
        "http://localhost:5000/key",
        "https://127.0.0.1:5000/key",
        "file:///etc/passwd",
        "//s3.amazonaws.com/key",
        "https://[::1",
        "https://s3.amazonaws.com:99999/key",
        S3.partition("?")[0],  # anybody could follow it
        S3.replace("canary-a", "canary-b"),
        S3.replace("canary-a", "canary%2Db"),
        S3.replace("canary-a", "acme"),  # a customer's
        S3.replace("canary-a", "tenant=canary-b"),
        S3.replace("exp-1", "exp-2"),
        S3.replace("canary-a", "not-canary-a"),
    ],
)
def test_every_other_link_is_refused(url):
    parts, problem = checked_link(url, HERE, FILE)
    assert parts is None
    assert problem


def test_a_real_endpoint_is_none_of_this_machine():
    endpoint = "https://s3.us-west-2.amazonaws.com"
    assert checked_link(S3, endpoint, FILE)[1] is None
    assert checked_link(f"{HERE}/{FILE}", endpoint, FILE)[1] is not None


def test_the_entries_that_fill_a_page_are_few_and_more_than_a_page():
    entries = filler_entries(TENANT, "run", NOW)
    sizes = [sum(len(name) + len(str(value.get("S", ""))) for name, value in entry.items()) + LENGTH for entry in entries]
    assert len({entry["sk"]["S"] for entry in entries}) == NUMBER
    assert 1_048_576 < sum(sizes) < 1_300_000
    assert max(sizes) < 400_000
    assert max(entry["timestamp"]["S"] for entry in entries) == iso(NOW)


def test_the_table_is_kept_whole_and_shows_what_is_missing_first(tmp_path):
    kept = assert_kept(table(held(ENTRIES), [exported(entry) for entry in ENTRIES[1:]]), tmp_path)
    assert PREVIEW.worst_first(kept.frame).iloc[0]["entry_id"] == ENTRIES[0]["entryId"]
    assert PREVIEW.figures(kept)["entries_missing"] == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('"data":', '"data": {"secret": "of another"}, "data":', 1),  # the last of two would count
        lambda text: text.replace('"attempt_count": 1', '"attempt_count": "1"', 1),
    ],
)
def test_a_file_that_can_be_read_in_two_ways_or_says_it_otherwise_does_not_pass(change):
    text = change(json.dumps([exported(entry) for entry in ENTRIES]))
    try:
        file = entries_of_export(text)
    except MalformedExport:
        return
    assert judged(held(ENTRIES), file).verdict is Verdict.FAIL


def test_of_two_entries_with_one_id_the_file_cannot_have_both():
    items = [*held(ENTRIES), held([ENTRIES[0] | {"sk": "ENTRY#later", "data": {"other": 1}}])[0]]
    for file in (ENTRIES, [*ENTRIES[1:], ENTRIES[0] | {"data": {"other": 1}}]):
        assert judged(items, [exported(each) for each in file]).verdict is Verdict.FAIL


def test_a_number_is_read_to_its_last_digit():
    entry = ENTRIES[0] | {"data": {"exact": Decimal("12345678901234567890.5")}}
    for text, found in (("12345678901234567890.5", []), ("12345678901234567000", ["export_entries_altered"])):
        file = json.dumps([exported(entry) | {"data": {"exact": 0}}]).replace('"exact": 0', f'"exact": {text}')
        assert codes(judged(held([entry]), entries_of_export(file))) == found


@pytest.mark.parametrize("number", ["1e9999999999999999999", "-1.5E-99999999999999999999", "0e99999999999999999999"])
def test_a_number_beyond_any_is_no_export(number):
    with pytest.raises(MalformedExport, match="too large"):
        entries_of_export(json.dumps([exported(ENTRIES[0])]).replace('"attempt_count": 0', f'"attempt_count": {number}'))


def test_sets_are_compared_by_what_they_hold():
    assert differing({"tags": {"NS": ["1", "2.0"]}}, {"tags": [2, 1]}) == []
    assert differing({"tags": {"SS": ["1", "2"]}}, {"tags": [1, 2]}) == ["tags"]
    assert differing({"tags": {"SS": ["1", "2"]}}, {"tags": ["1", "1"]}) == ["tags"]
