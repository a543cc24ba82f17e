"""Items of several tables are changed in as few calls as hold them, and no table keeps another from being changed."""

from threading import Barrier

from phase5_ops.aws.reader import Answer
from phase5_ops.probing.dynamo import change_items, put_items
from phase5_ops.reads import Read, ReadStatus


class Tables:
    """Stands for the reader: refuses calls that touch a table of `refusing`, and leaves `unprocessed` requests of a call."""

    def __init__(self, *refusing, unprocessed=0):
        self.refusing, self.unprocessed = set(refusing), unprocessed
        self.calls, self.changed = [], []

    def call(self, service, operation, resource, *, RequestItems):
        self.calls.append({table: len(requests) for table, requests in RequestItems.items()})
        if self.refusing & RequestItems.keys():
            return Answer([], Read(operation, resource, ReadStatus.DENIED, "no", 0, "", ""))
        done = [(table, request) for table, requests in RequestItems.items() for request in requests]
        left, self.changed[len(self.changed) :] = done[: self.unprocessed], done[self.unprocessed :]
        rest = {table: [request for name, request in left if name == table] for table, _ in left}
        return Answer([{"UnprocessedItems": rest}], Read(operation, resource, ReadStatus.OK, None, 1, "", ""))


def keys(count, prefix="k"):
    return [{"pk": {"S": f"{prefix}{number}"}} for number in range(count)]


def test_tables_share_calls_of_twenty_five():
    tables = Tables()
    reads = change_items(tables, removed={"a": keys(20), "none": []}, written={"a": keys(3, "w"), "b": keys(10)})
    assert tables.calls == [{"a": 23, "b": 2}, {"b": 8}]
    assert [(read.status, read.resource) for read in reads] == [(ReadStatus.OK, "a, b"), (ReadStatus.OK, "b")]
    assert [request for table, request in tables.changed if table == "a"][-1] == {"PutRequest": {"Item": {"pk": {"S": "w2"}}}}
    assert len(tables.changed) == 33
    assert change_items(tables, removed={}) == []


def test_a_table_that_refuses_keeps_no_other_from_being_changed():
    tables = Tables("b")
    reads = change_items(tables, removed={"a": keys(2), "b": keys(2), "c": keys(1)})
    assert [(read.status, read.resource) for read in reads] == [
        (ReadStatus.OK, "a"),
        (ReadStatus.DENIED, "b"),
        (ReadStatus.OK, "c"),
    ]
    assert {table for table, _ in tables.changed} == {"a", "c"}


def test_what_dynamodb_leaves_unprocessed_is_sent_again_and_said_where_it_stays():
    tables = Tables(unprocessed=1)
    (read,) = change_items(tables, removed={"a": keys(4)})
    assert (read.status, read.error, tables.calls) == (ReadStatus.THROTTLED, "UnprocessedItems", [{"a": 4}, *[{"a": 1}] * 4])


def test_two_calls_are_under_way_at_once_and_their_reads_are_in_the_order_of_the_items():
    both = Barrier(2)

    class Slow(Tables):
        def call(self, service, operation, resource, *, RequestItems):
            both.wait(timeout=30)  # for the other call
            (requests,) = RequestItems.values()
            first = requests[0]["PutRequest"]["Item"]["pk"]["S"]
            answer = super().call(service, operation, resource, RequestItems=RequestItems)
            return Answer(answer.pages, Read(operation, first, ReadStatus.OK, None, 1, "", ""))

    tables = Slow()
    reads = put_items(tables, "a", keys(90))
    assert [read.resource for read in reads] == ["k0", "k25", "k50", "k75"]
    assert sorted(call["a"] for call in tables.calls) == [15, 25, 25, 25]
    assert put_items(Tables(), "a", []) == []
