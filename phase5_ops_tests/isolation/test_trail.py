"""The data-access trail: which key every request of the execution named, and what it did not show."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phase5_ops.clock import iso
from phase5_ops.isolation.footprint_evidence import Result
from phase5_ops.isolation.trail_evidence import TrailWindow, UnreadableRecord, accesses_of, read_trail, trail_row
from phase5_ops_tests.isolation.harness_support import INTENT, KEYS, NOW, TRACE, A, B, scope

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
