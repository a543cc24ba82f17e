"""The data-access trail: which key every request of the execution named, and what it did not show."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.clock import iso
from phase5_ops.sections.isolation.harness.evidence import Result
from phase5_ops.sections.isolation.harness.trail import TrailWindow, UnreadableRecord, accesses_of, read_trail, trail_row
from phase5_ops_tests.sections.isolation.harness.support import INTENT, KEYS, NOW, TRACE, A, B, scope

FUNCTION = "cc-native-execution-recorder"
OUTCOMES, LEDGER = "cc-native-execution-outcomes", "cc-native-ledger"
WINDOW = TrailWindow(NOW - timedelta(minutes=1), NOW + timedelta(minutes=1), ("cc-native-execution-*",))


def record(operation, *, function=FUNCTION, trace="", at=NOW, error=None, **parameters):
    """A data event in CloudTrail's form; with a trace as a recorder writes it that knows the execution."""
    found = {
        "eventVersion": "1.08",
        "eventSource": "dynamodb.amazonaws.com",
        "eventName": operation,
        "eventTime": iso(at),
        "userIdentity": {"type": "AssumedRole", "arn": f"arn:aws:sts::111122223333:assumed-role/cc-native-role/{function}"},
        "requestParameters": parameters,
        "requestID": "R1",
        "eventCategory": "Data",
    }
    if trace:
        found["additionalEventData"] = {"executionTrace": trace}
    return found | ({"errorCode": error} if error else {})


def read(*records, window=WINDOW, of=None):
    return read_trail(records, of or scope(A, B, "zeta"), window, KEYS, other_test_tenant=B)


def only(*records, **more):
    """Result and codes of the only row."""
    (row,) = read(*records, **more).rows
    return row.result, row.codes


def query(expression, values=None, names=None, table=OUTCOMES, index="", **more):
    parameters = {"tableName": table, "keyConditionExpression": expression}
    if index:
        parameters["indexName"] = index
    if values:
        parameters["expressionAttributeValues"] = values
    if names:
        parameters["expressionAttributeNames"] = names
    return record("Query", **parameters, **more)


OWN_KEY = {"pk": f"TENANT#{A}#ACCOUNT#canary-a-1", "sk": f"OUTCOME#{INTENT}"}
B_KEY = {"pk": f"TENANT#{B}#ACCOUNT#canary-b-1", "sk": "x"}
ZETA_KEY = {"pk": "TENANT#zeta", "sk": "x"}
IN_SCOPE, VIOLATION, HIDDEN = Result.IN_SCOPE, Result.VIOLATION, Result.NOT_JUDGED


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "UpdateItem", "DeleteItem"])
def test_single_item_calls_are_judged_by_their_key(operation):
    assert only(record(operation, tableName=OUTCOMES, key=OWN_KEY)) == (IN_SCOPE, ())
    code = "foreign_key_read" if operation == "GetItem" else "foreign_key_written"
    assert only(record(operation, tableName=OUTCOMES, key=B_KEY)) == (VIOLATION, (code,))


def test_the_whole_second_in_which_the_window_begins_is_judged():
    late = TrailWindow(NOW + timedelta(milliseconds=700), WINDOW.end, WINDOW.functions)
    assert only(record("GetItem", tableName=OUTCOMES, key=OWN_KEY), window=late) == (IN_SCOPE, ())
    assert not read(record("GetItem", tableName=OUTCOMES, key=OWN_KEY, at=NOW - timedelta(seconds=1)), window=late).rows


def test_keys_in_dynamodb_json_and_tables_by_arn_are_understood():
    key = {name: {"S": value} for name, value in B_KEY.items()}
    arn = f"arn:aws:dynamodb:us-west-2:111122223333:table/{OUTCOMES}"
    assert only(record("GetItem", tableName=arn, key=key)) == (VIOLATION, ("foreign_key_read",))


def test_a_put_whose_key_stands_in_its_item_only_is_judged():
    assert only(record("PutItem", tableName=OUTCOMES, item={**B_KEY, "x": "1"})) == (VIOLATION, ("foreign_key_written",))


@pytest.mark.parametrize("table", [OUTCOMES, LEDGER])
def test_a_scan_is_unscoped_whatever_it_filters(table):
    scan = record("Scan", tableName=table, filterExpression="pk = :p", expressionAttributeValues={":p": OWN_KEY["pk"]})
    assert only(scan) == (VIOLATION, ("unscoped_scan",))
    assert only(record("Scan", tableName=table, indexName="gsi1-index")) == (VIOLATION, ("unscoped_scan",))


def test_a_query_is_judged_by_the_partition_key_where_the_trail_shows_it():
    assert only(query("pk = :p", {":p": OWN_KEY["pk"]})) == (IN_SCOPE, ())
    assert only(query("#p = :p AND begins_with(sk, :s)", {":p": {"S": B_KEY["pk"]}, ":s": "x"}, {"#p": "pk"})) == (
        VIOLATION,
        ("foreign_key_read",),
    )
    old = record(
        "Query", tableName=OUTCOMES, keyConditions={"pk": {"ComparisonOperator": "EQ", "AttributeValueList": [B_KEY["pk"]]}}
    )
    assert only(old) == (VIOLATION, ("foreign_key_read",))


def test_a_query_whose_values_are_hidden_is_not_judged():
    assert only(query("#p = :p", names={"#p": "pk"})) == (HIDDEN, ("reads_not_judged",))
    hidden = query("pk = :p", {":p": "HIDDEN_DUE_TO_SECURITY_REASONS"})
    assert only(hidden) == (HIDDEN, ("reads_not_judged",))
    assert only(query("sk = :s", {":s": "x"})) == (HIDDEN, ("reads_not_judged",))


def test_an_index_query_without_the_tenant_must_refer_to_this_execution():
    own = query("gsi1pk = :p", {":p": f"ACTION_INTENT#{INTENT}"}, index="gsi1-index")
    other = query("gsi1pk = :p", {":p": "ACTION_INTENT#ai_2_other"}, index="gsi1-index", trace=TRACE)
    assert only(own) == (Result.APPROVED, ())
    assert only(other) == (VIOLATION, ("unscoped_query",))
    assert only(query("gsi1pk = :p", {":p": "NOTES"}, table=LEDGER, index="gsi1-index", trace=TRACE)) == (
        VIOLATION,
        ("unscoped_query",),
    )


def test_batches_are_judged_key_by_key():
    batch = record("BatchGetItem", requestItems={OUTCOMES: {"keys": [OWN_KEY, B_KEY]}, LEDGER: {"Keys": [OWN_KEY]}})
    assert [(row.table, row.codes) for row in read(batch).rows] == [
        (OUTCOMES, ()),
        (OUTCOMES, ("foreign_key_read",)),
        (LEDGER, ()),
    ]
    write = record(
        "BatchWriteItem",
        requestItems={OUTCOMES: [{"PutRequest": {"Item": B_KEY}}, {"DeleteRequest": {"Key": OWN_KEY}}, {"key": OWN_KEY}]},
    )
    assert [row.codes for row in read(write).rows] == [("foreign_key_written",), (), ()]


def test_transactions_are_judged_part_by_part_in_either_spelling():
    parts = [
        {"operation": "Put", "tableName": OUTCOMES, "key": B_KEY, "items": ["pk"]},
        {"operation": "ConditionCheck", "TableName": OUTCOMES, "Key": B_KEY},
        {"Update": {"TableName": LEDGER, "Key": OWN_KEY}},
    ]
    rows = read(record("TransactWriteItems", requestItems=parts)).rows
    assert [row.codes for row in rows] == [("foreign_key_written",), ("foreign_key_read",), ()]
    gets = record("TransactGetItems", transactItems=[{"Get": {"TableName": OUTCOMES, "Key": B_KEY}}])
    assert only(gets) == (VIOLATION, ("foreign_key_read",))


FROM, OWN_PK, B_PK = f'FROM "{OUTCOMES}"', OWN_KEY["pk"], B_KEY["pk"]
SCANNED = (VIOLATION, ("unscoped_scan",))


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (f"SELECT * {FROM} WHERE pk = '{OWN_PK}'", (IN_SCOPE, ())),
        (f"SELECT * {FROM} WHERE \"pk\" = '{B_PK}' AND sk = ***(Redacted)", (VIOLATION, ("foreign_key_read",))),
        (f"select sk {FROM}.\"gsi1-index\" where gsi1pk = 'ACTION_INTENT#{INTENT}'", (Result.APPROVED, ())),
        (f"SELECT * {FROM}", SCANNED),
        (f"SELECT * {FROM} WHERE status = 'FAILED'", SCANNED),
        (f"SELECT * {FROM} WHERE pk = '{OWN_PK}' OR status = 'x'", SCANNED),
        (f"SELECT * {FROM} WHERE begins_with(pk, 'TENANT#')", SCANNED),
        (f"SELECT * {FROM} WHERE pk = ? AND sk = ?", (HIDDEN, ("reads_not_judged",))),
        (f"UPDATE \"{OUTCOMES}\" SET a = ? WHERE pk = '{B_PK}' AND sk = 'x'", (VIOLATION, ("foreign_key_written",))),
        (f"INSERT INTO \"{OUTCOMES}\" VALUE {{'pk': '{B_PK}', 'v': ***(Redacted)}}", (VIOLATION, ("foreign_key_written",))),
        (f"DELETE {FROM} WHERE pk = '{OWN_PK}' AND sk = 'it''s'", (IN_SCOPE, ())),
    ],
)
def test_partiql_statements_are_judged_by_the_key_they_name(statement, expected):
    assert only(record("ExecuteStatement", statement=statement)) == expected
    assert only(record("BatchExecuteStatement", requestItems=[{"statement": statement}])) == expected
    assert only(record("ExecuteTransaction", transactStatements=[{"Statement": statement}])) == expected


OWN_READ, B_READ = (IN_SCOPE, ()), (VIOLATION, ("foreign_key_read",))
NOT_SHOWN = (HIDDEN, ("reads_not_judged",))
ON_TABLE = {"resources": [{"ARN": f"arn:aws:dynamodb:us-west-2:1:table/{OUTCOMES}"}]}


def judged(statement, **more):
    """Result and codes of every row of a statement."""
    made = record("ExecuteStatement", statement=statement) | ON_TABLE
    return {(row.result, row.codes) for row in read(made, **more).rows}


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"pk IN ['{OWN_PK}']", {OWN_READ}),
        (f"pk IN ('{OWN_PK}')", {OWN_READ}),
        (f"pk IN ['{OWN_PK}', '{B_PK}']", {OWN_READ, B_READ}),
        (f"\"pk\" IN ['{B_PK}'] AND sk = 'x'", {B_READ}),
        (f"pk = '{OWN_PK}' OR pk = '{OWN_PK}#X#1'", {OWN_READ}),
        (f"pk = '{OWN_PK}' OR pk = '{B_PK}'", {OWN_READ, B_READ}),
        (f"(pk = '{OWN_PK}' AND sk = 'a') OR (pk = '{OWN_PK}' AND sk = 'b')", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND (status = 'a' OR status = 'b')", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND (status = 'a' OR begins_with(sk, 'x'))", {OWN_READ}),
        (f"status = 'x' AND pk = '{OWN_PK}'", {OWN_READ}),
        (f"'{B_PK}' = pk", {B_READ}),
        (f"(pk) = '{OWN_PK}'", {OWN_READ}),
        (f"((((((((pk = '{OWN_PK}'))))))))", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND sk BETWEEN 'a' AND 'b' ORDER BY sk DESC", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND NOT status = 'x'", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND pk = '{B_PK}'", {OWN_READ, B_READ}),
        (f"pk = '{OWN_PK}' AND sk IN [***(Redacted), ***(Redacted)]", {OWN_READ}),
        (f"pk = '{OWN_PK}' AND ***(Redacted)", {OWN_READ}),
        (f"pk = '{OWN_PK}' OR ***(Redacted)", {OWN_READ, NOT_SHOWN}),
        ("pk IN [***(Redacted), ***(Redacted)]", {NOT_SHOWN}),
        ("pk IN ***(Redacted)", {NOT_SHOWN}),
        (f"pk IN ['{OWN_PK}', ?]", {OWN_READ, NOT_SHOWN}),
        ("pk = '***(Redacted)'", {NOT_SHOWN}),
        ('pk = "***(Redacted)"', {NOT_SHOWN}),
        ("pk = *** (redacted)", {NOT_SHOWN}),
        ("pk = 'TENANT#***(Redacted)'", {NOT_SHOWN}),
        ("pk = HIDDEN_DUE_TO_SECURITY_REASONS", {NOT_SHOWN}),
        (f"***(Redacted) = '{OWN_PK}'", {NOT_SHOWN}),
        ("***(Redacted)", {NOT_SHOWN}),
        (f"pk LIKES '{OWN_PK}'", {NOT_SHOWN}),  # not understood
        (f"pk = '{OWN_PK}' OR", {NOT_SHOWN}),
        (f"(pk = '{OWN_PK}'", {NOT_SHOWN}),
        ("pk > 'TENANT#'", {SCANNED}),
        (f"pk <> '{OWN_PK}'", {SCANNED}),
        (f"NOT (pk = '{OWN_PK}')", {SCANNED}),
        (f"NOT pk IN ['{OWN_PK}']", {SCANNED}),
        (f"pk NOT IN ['{OWN_PK}']", {SCANNED}),
        (f"status = '{OWN_PK}' OR pk = '{OWN_PK}'", {SCANNED}),
        (f"status = ***(Redacted) OR pk = '{OWN_PK}'", {SCANNED}),
        (f"status = 'x' OR pk = '{B_PK}'", {SCANNED, B_READ}),
        (f"status = 'pk = ''{OWN_PK}'''", {SCANNED}),  # a text that looks like a condition
        (f"contains(pk, '{OWN_PK}')", {SCANNED}),
        (f"sk = '{OWN_PK}' -- pk = 'x'", {SCANNED}),
        ("pk = sk", {SCANNED}),
        ("pk.x = 'TENANT#a'", {SCANNED}),
        ("pk IS NOT MISSING", {SCANNED}),
        ("pk IN []", {SCANNED}),
    ],
)
def test_partiql_is_judged_by_every_key_that_it_names_and_what_is_hidden_is_hidden(condition, expected):
    assert judged(f'SELECT * FROM "{OUTCOMES}" WHERE {condition}') == expected
    assert judged(f'EXISTS(SELECT * FROM "{OUTCOMES}" WHERE {condition}\n)') == expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("INSERT INTO \"{t}\" VALUE {{'pk': ***(Redacted), 'v': ***(Redacted)}}", NOT_SHOWN),
        ('INSERT INTO "{t}" VALUE ***(Redacted)', NOT_SHOWN),
        ('INSERT INTO "{t}" VALUE {{***(Redacted)}}', NOT_SHOWN),
        ("INSERT INTO \"{t}\" VALUE {{'v': {{'pk': 'x'}}, 'pk': '{own}', 'l': [1, 'a']}}", (IN_SCOPE, ())),
        ("INSERT INTO \"{t}\" VALUE {{'v': {{'pk': '{own}'}}}}", NOT_SHOWN),
        ("INSERT INTO {t} VALUE {{\"pk\": '{own}'}} IF NOT EXISTS", (IN_SCOPE, ())),
        ("UPDATE \"{t}\" SET a = ***(Redacted) SET b = 'x' WHERE pk = '{own}' AND sk = 'y' RETURNING ALL OLD *", (IN_SCOPE, ())),
        ("UPDATE \"{t}\" SET pk2 = '{own}' WHERE pk = ***(Redacted)", NOT_SHOWN),
        ("UPDATE \"{t}\" SET a = list_append(a, ['WHERE pk']) WHERE pk = '{own}'", (IN_SCOPE, ())),
        ("DELETE FROM \"{t}\" WHERE pk IN ['{b}']", (VIOLATION, ("foreign_key_written",))),
        ("***(Redacted)", NOT_SHOWN),
        ("HIDDEN_DUE_TO_SECURITY_REASONS", NOT_SHOWN),
        ("TRUNCATE {t}", NOT_SHOWN),
    ],
)
def test_partiql_that_writes(statement, expected):
    assert judged(statement.format(t=OUTCOMES, own=OWN_PK, b=B_PK)) == {expected}


def test_statements_of_one_batch_are_judged_each():
    own, everything, foreign = (f"SELECT * {FROM} WHERE {part}" for part in (f"pk = '{OWN_PK}'", "v = 1", f"pk = '{B_PK}'"))
    made = record("BatchExecuteStatement", requestItems=[{"statement": each} for each in (own, everything, foreign)])
    assert [(row.result, row.codes) for row in read(made).rows] == [OWN_READ, SCANNED, B_READ]


OWN_PARTS = [f"pk = '{OWN_PK}'", f"pk IN ['{OWN_PK}']", f"pk = '{OWN_PK}' AND sk = ***(Redacted)", f"(pk = '{OWN_PK}')"]
BAD_PARTS = {
    f"pk = '{B_PK}'": VIOLATION,
    f"pk IN ['{OWN_PK}', '{B_PK}']": VIOLATION,
    "status = 'x'": VIOLATION,
    f"NOT pk = '{OWN_PK}'": VIOLATION,
    "begins_with(pk, 'TENANT#')": VIOLATION,
    "pk = ***(Redacted)": HIDDEN,
    "***(Redacted)": HIDDEN,
    f"pk IN ['{OWN_PK}', ?]": HIDDEN,
    "pk ~ 'x'": HIDDEN,
}


@settings(max_examples=150, deadline=None)
@given(
    own=st.lists(st.sampled_from(OWN_PARTS), max_size=4),
    bad=st.sampled_from(sorted(BAD_PARTS)),
    more=st.sampled_from(["", " AND status = 'a'", " AND (status = 'a' OR status = 'b')", " AND v > 1"]),
    place=st.integers(0, 4),
    brackets=st.integers(0, 3),
)
def test_a_part_that_is_foreign_or_not_shown_is_never_lost_among_own_ones(own, bad, more, place, brackets):
    parts = [f"({each}{more})" for each in own]
    parts.insert(place, "(" * brackets + f"{bad}{more}" + ")" * brackets)
    results = {result for result, _ in judged(f'SELECT * FROM "{OUTCOMES}" WHERE {" OR ".join(parts)}')}
    assert BAD_PARTS[bad] in results


WORDS = [
    "SELECT",
    "*",
    "FROM",
    "t",
    "WHERE",
    "pk",
    "=",
    "'a'",
    "IN",
    "[",
    "]",
    "(",
    ")",
    ",",
    "AND",
    "OR",
    "NOT",
    "***(Redacted)",
    "?",
    "{",
    "}",
    ":",
    ".",
    "<<",
    ">>",
    "BETWEEN",
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40))
def test_any_text_is_a_statement_or_is_not_understood(words):
    made = record("ExecuteStatement", statement="SELECT * FROM t WHERE " + " ".join(words))
    assert accesses_of(made | ON_TABLE)


def test_brackets_without_end_are_not_understood_in_time():
    assert judged(f"SELECT * {FROM} WHERE " + "(" * 5000 + "pk" + ")" * 5000) == {NOT_SHOWN}


def test_calls_of_other_traffic_are_counted_and_not_judged():
    reading = read(record("GetItem", tableName=OUTCOMES, key=ZETA_KEY))
    assert (reading.rows, reading.elsewhere) == ([], 1)


def test_calls_that_are_certainly_of_this_execution_are_judged_against_every_tenant():
    foreign = record("GetItem", tableName=OUTCOMES, key=ZETA_KEY)
    assert only(foreign | {"additionalEventData": {"executionTrace": TRACE}}) == (VIOLATION, ("foreign_key_read",))
    alone = TrailWindow(WINDOW.start, WINDOW.end, WINDOW.functions, exclusive=True)
    assert only(foreign, window=alone) == (VIOLATION, ("foreign_key_read",))
    named = record("GetItem", tableName=OUTCOMES, key={"pk": "TENANT#zeta", "sk": f"OUTCOME#{INTENT}"})
    assert only(named) == (VIOLATION, ("foreign_key_read",))


def test_calls_outside_the_window_by_others_or_on_other_tables_are_left_out():
    key = {"tableName": OUTCOMES, "key": B_KEY}
    assert read(record("GetItem", at=NOW - timedelta(hours=1), **key)).records == 0
    assert read(record("GetItem", function="phase5-ops", **key)).records == 0
    assert read(record("GetItem", tableName="phase5-readiness", key=B_KEY)).records == 0
    assert read(record("DescribeTable", tableName=OUTCOMES)).records == 0
    assert read({**record("GetItem", **key), "eventSource": "s3.amazonaws.com"}).records == 0


def test_a_call_that_failed_is_judged_as_well():
    (row,) = read(record("GetItem", tableName=OUTCOMES, key=B_KEY, error="AccessDenied")).rows
    assert row.codes == ("foreign_key_read",)
    assert "AccessDenied" in row.reason


def test_a_record_delivered_twice_counts_once():
    one = {**record("GetItem", tableName=OUTCOMES, key=OWN_KEY), "eventID": "e1"}
    assert read(one, one).records == 1


def test_an_unreadable_record_is_said_and_never_skipped():
    assert only({"eventSource": "dynamodb.amazonaws.com", "eventName": "GetItem"}) == (HIDDEN, ("reads_not_judged",))
    with pytest.raises(UnreadableRecord):
        accesses_of({"eventSource": "dynamodb.amazonaws.com", "eventName": "GetItem", "eventTime": "yesterday"})


def test_parameters_left_out_altogether_are_not_judged():
    for operation in ("GetItem", "Query", "BatchGetItem", "TransactWriteItems", "ExecuteStatement"):
        bare = record(operation) | {
            "requestParameters": None,
            "resources": [{"ARN": f"arn:aws:dynamodb:us-west-2:1:table/{OUTCOMES}"}],
        }
        assert only(bare) == (HIDDEN, ("reads_not_judged",)), operation


UNDERSTOOD_BY_NOBODY = f"SELECT * FROM \"{LEDGER}\" l WHERE l.pk = 'TENANT#{B}'"


def of(*tables, name="ARN"):
    return {"resources": [{name: f"arn:aws:dynamodb:us-west-2:1:table/{table}"} for table in tables]}


@pytest.mark.parametrize(
    "call",
    [
        record("GetItem", key=B_KEY),
        record("PutItem", item=B_KEY),
        record("Query"),
        record("ExecuteStatement", statement=UNDERSTOOD_BY_NOBODY),
        record("BatchExecuteStatement", statements=[UNDERSTOOD_BY_NOBODY]),
        record("ExecuteTransaction", transactStatements=[{"statement": UNDERSTOOD_BY_NOBODY}]),
        record("BatchGetItem") | {"requestParameters": {"Omitted": True}},
        record("TransactWriteItems") | {"requestParameters": None},
        record("TransactWriteItems", requestItems=[{"operation": "Put", "key": B_KEY}]),
        record("TransactGetItems", transactItems=[{"Get": {"Key": B_KEY}}]) | of(LEDGER, OUTCOMES),
        record("Scan", filterExpression="a = :a"),
    ],
    ids=lambda call: f"{call['eventName']} {'of several' if 'resources' in call else ''}",
)
def test_a_call_of_which_nothing_says_the_table_is_not_judged(call):
    """It may be to any of them, and is never left out."""
    found = read(call)
    assert {(row.result, row.codes) for row in found.rows} == {(HIDDEN, ("reads_not_judged",))}
    assert found.records == found.hidden == len(found.rows) > 0
    assert read(call | {"userIdentity": {"type": "IAMUser", "userName": "someone"}}).rows == []


@pytest.mark.parametrize("name", ["ARN", "arn"])
def test_the_table_is_taken_from_the_records_resources_where_the_request_does_not_name_it(name):
    part = {"operation": "Put", "key": B_KEY}
    for call in (record("TransactWriteItems", requestItems=[part]), record("PutItem", key=B_KEY)):
        assert only(call | of(LEDGER, name=name)) == (VIOLATION, ("foreign_key_written",))
        assert read(call | of("another-table", name=name)).rows == []


def test_the_texts_of_a_batch_of_statements_are_read():
    statement = f"SELECT * FROM \"{OUTCOMES}\" WHERE pk = '{OWN_KEY['pk']}'"
    assert only(record("BatchExecuteStatement", statements=[statement]))[0] is IN_SCOPE


@pytest.mark.parametrize(("tenant", "expected"), [(A, IN_SCOPE), (B, VIOLATION)])
@pytest.mark.parametrize("written", [lambda key: key, lambda key: {"S": key}], ids=["plain", "dynamodb"])
def test_a_query_by_key_conditions_is_judged_in_either_spelling_of_its_values(tenant, expected, written):
    condition = {"ComparisonOperator": "EQ", "AttributeValueList": [written(f"TENANT#{tenant}")]}
    assert only(record("Query", tableName=LEDGER, keyConditions={"pk": condition}))[0] is expected


STREAM = f"arn:aws:dynamodb:us-west-2:1:table/{LEDGER}/stream/2026-11-23T00:00:00.000"


@pytest.mark.parametrize(
    "call",
    [
        record("GetRecords") | {"resources": [{"type": "AWS::DynamoDB::Stream", "ARN": STREAM}]},
        record("GetRecords", shardIterator=f"{STREAM}|1|AAA"),
    ],
    ids=["resources", "iterator"],
)
def test_a_stream_is_read_without_any_key(call):
    assert only(call) == (VIOLATION, ("unscoped_scan",))


def test_the_trail_itself_is_worth_what_it_showed():
    whole = read(record("GetItem", tableName=OUTCOMES, key=OWN_KEY))
    hidden = read(query("pk = :p"))
    assert trail_row(whole).codes == ()
    assert trail_row(whole, delivered=False).codes == ("reads_not_judged",)
    assert trail_row(hidden).codes == ("reads_not_judged",)
    assert trail_row(read()).codes == ("reads_not_judged",)
    assert trail_row(None, "no data-access trail is named in the settings").codes == ("reads_not_judged",)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)
NAMES = [
    "tableName",
    "TableName",
    "key",
    "Key",
    "keys",
    "requestItems",
    "statement",
    "keyConditionExpression",
    "keyConditions",
    "item",
]


@settings(max_examples=150, deadline=None)
@given(
    operation=st.sampled_from(
        ["GetItem", "PutItem", "Query", "Scan", "BatchGetItem", "BatchWriteItem", "TransactWriteItems", "ExecuteStatement"]
    ),
    parameters=st.one_of(json_values, st.dictionaries(st.sampled_from(NAMES), json_values, max_size=4)),
)
def test_no_record_makes_the_trail_raise(operation, parameters):
    made = record(operation) | {"requestParameters": parameters, "resources": [{"ARN": f"a:table/{OUTCOMES}"}]}
    assert read(made).rows is not None


@settings(max_examples=100, deadline=None)
@given(tenant=st.text(min_size=1, max_size=8).filter(lambda name: name != A))
def test_no_key_of_another_tenant_is_in_scope_by_any_way_of_asking(tenant):
    pk = f"TENANT#{tenant}"
    quoted = pk.replace("'", "''")
    asked = (
        record("GetItem", tableName=OUTCOMES, key={"pk": pk, "sk": "x"}),
        query("pk = :p", {":p": pk}),
        record("BatchGetItem", requestItems={OUTCOMES: {"Keys": [{"pk": {"S": pk}}]}}),
        record("ExecuteStatement", statement=f"SELECT * FROM \"{OUTCOMES}\" WHERE pk = '{quoted}'"),
    )
    assert all(row.result is not Result.IN_SCOPE for one in asked for row in read(one, of=scope(A, B, tenant)).rows)
