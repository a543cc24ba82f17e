"""What decides whether topics deliver is read as far as it bears on that, and what is gone or denied is told apart."""

import boto3
import pytest
from botocore.stub import Stubber

from phase5_ops.aws.reader import Answer, AwsReader
from phase5_ops.aws.topic_delivery import IAM_ACTIONS, MOST_SUBSCRIPTIONS, read_delivery
from phase5_ops.cloudwatch.alarm_answers import EncryptionKey, Subscription, Topic
from phase5_ops.permissions.purposes import Purpose, policy_for
from phase5_ops.reads import Read, ReadStatus
from phase5_ops.settings import ReadingSettings, load_settings

REGION, ACCOUNT = "us-west-2", "123456789012"
TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:on-call"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": REGION}


@pytest.fixture
def stubs(monkeypatch):
    """A reader whose clients check each call against AWS's own description of it, and answer from stubs."""
    reader = AwsReader(ReadingSettings(deadline_seconds=20), session=boto3.Session(**KEYS))
    clients = {service: boto3.client(service, **KEYS) for service in ("sns", "sqs", "kms", "lambda")}
    monkeypatch.setattr(reader, "client", lambda service, region=None: clients[service])
    stubbed = {service: Stubber(client) for service, client in clients.items()}
    for stub in stubbed.values():
        stub.activate()
    yield reader, stubbed
    for stub in stubbed.values():
        stub.assert_no_pending_responses()


def test_filters_targets_and_keys_are_read(stubs):
    reader, aws = stubs
    queue, function = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"
    targets = [("sqs", queue), ("sqs", queue + "-gone"), ("lambda", function), ("lambda", function + "-gone"), ("email", "a@b.c")]
    key_arn = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    aws["kms"].add_response(
        "describe_key",
        {"KeyMetadata": {"KeyId": "1", "Arn": key_arn, "KeyManager": "CUSTOMER", "KeyState": "Enabled"}},
        {"KeyId": "alias/mine"},
    )
    aws["kms"].add_response("get_key_policy", {"Policy": "{}"}, {"KeyId": key_arn, "PolicyName": "default"})
    for number in range(len(targets)):
        attributes = {"FilterPolicy": "{}"} if number == 4 else {}
        aws["sns"].add_response(
            "get_subscription_attributes", {"Attributes": attributes}, {"SubscriptionArn": f"{TOPIC}:{number}"}
        )
    aws["sqs"].add_response("get_queue_url", {"QueueUrl": "https://q"}, {"QueueName": "q", "QueueOwnerAWSAccountId": ACCOUNT})
    aws["sqs"].add_response(
        "get_queue_attributes",
        {"Attributes": {"Policy": "{}", "KmsMasterKeyId": "alias/aws/sqs"}},
        {"QueueUrl": "https://q", "AttributeNames": ["Policy", "KmsMasterKeyId"]},
    )
    aws["sqs"].add_client_error("get_queue_url", "AWS.SimpleQueueService.NonExistentQueue")
    aws["lambda"].add_response("get_function_configuration", {"FunctionName": "f"}, {"FunctionName": function})
    aws["lambda"].add_client_error("get_policy", "ResourceNotFoundException")
    aws["lambda"].add_client_error("get_function_configuration", "ResourceNotFoundException")
    listed = tuple(Subscription(f"{TOPIC}:{number}", *target) for number, target in enumerate(targets))
    topic = Topic(TOPIC, True, 5, 0, key=EncryptionKey("alias/mine"), subscriptions=listed)
    found, reads = read_delivery(reader, {TOPIC: topic})
    whole, gone, unallowed, away, filtered = found[TOPIC].subscriptions
    managed = EncryptionKey("alias/aws/sqs", aws_managed=True)
    assert (whole.target_policy, whole.target_key, whole.missing) == ("{}", managed, None)
    assert (gone.missing, away.missing) == ("the queue", "the function")
    assert (unallowed.target_policy, unallowed.missing) == ("", None)
    assert filtered.attributes == {"FilterPolicy": "{}"}
    assert found[TOPIC].key == EncryptionKey("alias/mine", aws_managed=False, state="Enabled", policy="{}")
    assert all(each.status is ReadStatus.OK for each in reads)


def test_an_ordinary_topic_costs_one_call_more():
    reader = Scripted({"get_subscription_attributes": {"Attributes": {}}})
    found, _ = read_delivery(reader, {TOPIC: Topic(TOPIC, True, 3, 0, subscriptions=subscriptions(3))})
    assert reader.calls == [("get_subscription_attributes", f"{TOPIC}:0")]
    assert len(found[TOPIC].subscriptions) == 1


def test_a_subscription_or_key_that_is_gone_is_an_answer():
    reader = Scripted({}, missing={"get_subscription_attributes", "describe_key"})
    topic = Topic(TOPIC, True, 1, 0, key=EncryptionKey("alias/mine"), subscriptions=subscriptions(1))
    found, reads = read_delivery(reader, {TOPIC: topic})
    assert (found[TOPIC].subscriptions[0].missing, found[TOPIC].key.state) == ("the subscription", "missing")
    assert all(each.status is ReadStatus.OK for each in reads)


class Scripted:
    """A reader that answers from a script; what is not in it is denied, or does not exist."""

    def __init__(self, answers, missing=()):
        self.answers, self.missing, self.calls = answers, missing, []

    def call(self, service, operation, resource, *, region=None, **params):
        self.calls.append((operation, resource))
        status = (
            ReadStatus.NOT_FOUND
            if operation in self.missing
            else ReadStatus.OK
            if operation in self.answers
            else ReadStatus.DENIED
        )
        read = Read(f"{service}:{operation}", resource, status, None if status is ReadStatus.OK else "no", 1, "", "")
        return Answer([self.answers[operation]] if status is ReadStatus.OK else [], read)


def subscriptions(count, protocol="email", account=ACCOUNT):
    endpoint = "a@example.com" if protocol == "email" else f"arn:aws:{protocol}:{REGION}:{account}:{protocol}-target"
    return tuple(Subscription(f"{TOPIC}:{number}", protocol, endpoint) for number in range(count))


@pytest.mark.parametrize(
    ("topic", "answers"),
    [
        (Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1)), {}),
        (Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1, "sqs")), {"get_subscription_attributes": {"Attributes": {}}}),
        (Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1, "lambda")), {"get_subscription_attributes": {"Attributes": {}}}),
        (Topic(TOPIC, True, 0, 0, key=EncryptionKey("alias/mine")), {}),
        (
            Topic(TOPIC, True, 0, 0, key=EncryptionKey("alias/mine")),
            {
                "describe_key": {
                    "KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled", "Arn": f"arn:aws:kms:r:{ACCOUNT}:key/1"}
                }
            },
        ),
    ],
)
def test_what_is_denied_is_told(topic, answers):
    _, reads = read_delivery(Scripted(answers), {TOPIC: topic})
    assert ReadStatus.DENIED in {each.status for each in reads}


def test_what_could_not_be_read_of_one_subscription_has_no_bearing_beside_one_that_takes_everything():
    class OneDenied(Scripted):
        def call(self, service, operation, resource, **params):
            return Scripted({} if resource.endswith(":0") else self.answers).call(service, operation, resource)

    topic = Topic(TOPIC, True, 2, 0, subscriptions=subscriptions(2))
    _, reads = read_delivery(OneDenied({"get_subscription_attributes": {"Attributes": {}}}), {TOPIC: topic})
    assert [each.status for each in reads] == [ReadStatus.OK]


OTHER = "999999999999"
ATTRIBUTES = {"get_subscription_attributes": {"Attributes": {}}}
QUEUE = {"get_queue_url": {"QueueUrl": "https://q"}, "get_queue_attributes": {"Attributes": {"Policy": "{}"}}}
FUNCTION = {"get_function_configuration": {"FunctionName": "f"}, "get_policy": {"Policy": "{}"}}


@pytest.mark.parametrize(("protocol", "answers"), [("sqs", QUEUE), ("lambda", FUNCTION)])
def test_targets_of_other_accounts_are_read_where_they_let_themselves_be(protocol, answers):
    topic = Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1, protocol, OTHER))
    found, reads = read_delivery(Scripted(ATTRIBUTES | answers), {TOPIC: topic}, ACCOUNT)
    assert (found[TOPIC].subscriptions[0].target_policy, found[TOPIC].subscriptions[0].withheld) == ("{}", None)
    assert {each.status for each in reads} == {ReadStatus.OK}
    first = next(iter(answers))
    for readable in ({}, {first: answers[first]}):
        for missing in ((), answers.keys() - readable.keys()):
            found, reads = read_delivery(Scripted(ATTRIBUTES | readable, missing), {TOPIC: topic}, ACCOUNT)
            assert OTHER in found[TOPIC].subscriptions[0].withheld
            assert found[TOPIC].subscriptions[0].missing is None
            assert {each.status for each in reads} == {ReadStatus.OK}


@pytest.mark.parametrize(("account", "protocol"), [(None, "sqs"), ("unknown", "lambda")])
def test_what_is_not_known_to_be_foreign_is_a_failed_read(account, protocol):
    topic = Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1, protocol, OTHER))
    found, reads = read_delivery(Scripted(ATTRIBUTES), {TOPIC: topic}, account)
    assert found[TOPIC].subscriptions[0].withheld is None
    assert ReadStatus.DENIED in {each.status for each in reads}


@pytest.mark.parametrize("protocol", ["sqs", "lambda", "email"])
def test_a_subscription_that_another_account_keeps_to_itself_is_withheld(protocol):
    foreign_topic = TOPIC.replace(ACCOUNT, OTHER)
    for arn, listed, kept in (
        (foreign_topic, subscriptions(1, protocol), True),
        (TOPIC, subscriptions(1, protocol, OTHER), protocol != "email"),
        (TOPIC, subscriptions(1, protocol), False),
    ):
        found, reads = read_delivery(Scripted({}), {arn: Topic(arn, True, 1, 0, subscriptions=listed)}, ACCOUNT)
        assert (found[arn].subscriptions[0].withheld is not None) is kept
        assert ([each.status for each in reads] == [ReadStatus.DENIED]) is not kept


def test_a_subscription_that_is_withheld_does_not_end_the_search_for_one_that_tells_people():
    class Foreign(Scripted):
        def call(self, service, operation, resource, **params):
            return Scripted({} if "sqs" in resource or resource.endswith(":0") else ATTRIBUTES).call(service, operation, resource)

    listed = (*subscriptions(1, "sqs", OTHER), *(Subscription(f"{TOPIC}:1", "email", "a@example.com"),))
    found, _ = read_delivery(Foreign({}), {TOPIC: Topic(TOPIC, True, 2, 0, subscriptions=listed)}, ACCOUNT)
    assert [each.withheld is None for each in found[TOPIC].subscriptions] == [False, True]


def test_the_key_that_aws_manages_needs_no_asking_and_a_foreign_one_keeps_its_policy_to_itself():
    reader = Scripted({})
    found, _ = read_delivery(reader, {TOPIC: Topic(TOPIC, True, 0, 0, key=EncryptionKey("alias/aws/sns"))})
    assert (found[TOPIC].key.aws_managed, reader.calls) == (True, [])
    foreign = {"KeyMetadata": {"KeyManager": "CUSTOMER", "KeyState": "Enabled", "Arn": f"arn:aws:kms:r:{OTHER}:key/1"}}
    topics = {TOPIC: Topic(TOPIC, True, 0, 0, key=EncryptionKey("k"))}
    found, reads = read_delivery(Scripted({"describe_key": foreign}), topics, ACCOUNT)
    assert (found[TOPIC].key.policy, found[TOPIC].key.state, len(reads)) == (None, "Enabled", 1)
    assert found[TOPIC].key.withheld
    named = {TOPIC: Topic(TOPIC, True, 0, 0, key=EncryptionKey(f"arn:aws:kms:{REGION}:{OTHER}:key/1"))}
    found, reads = read_delivery(Scripted({}), named, ACCOUNT)
    assert (found[TOPIC].key.withheld, reads) == (True, [])


def test_the_key_of_a_queue_is_read_too():
    encrypted = {"get_queue_attributes": {"Attributes": {"Policy": "{}", "KmsMasterKeyId": "alias/mine"}}}
    metadata = {"KeyManager": "CUSTOMER", "KeyState": "Enabled", "Arn": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"}
    answers = ATTRIBUTES | QUEUE | encrypted | {"describe_key": {"KeyMetadata": metadata}}
    topic = {TOPIC: Topic(TOPIC, True, 1, 0, subscriptions=subscriptions(1, "sqs"))}
    found, _ = read_delivery(Scripted(answers | {"get_key_policy": {"Policy": "{}"}}), topic, ACCOUNT)
    assert found[TOPIC].subscriptions[0].target_key == EncryptionKey("alias/mine", False, "Enabled", "{}")
    _, reads = read_delivery(Scripted(answers), topic, ACCOUNT)
    assert ReadStatus.DENIED in {each.status for each in reads}


def test_more_subscriptions_than_are_looked_at_are_a_partial_read():
    filtered = {"get_subscription_attributes": {"Attributes": {"FilterPolicy": '{"a": ["b"]}'}}}
    topic = Topic(TOPIC, True, MOST_SUBSCRIPTIONS + 1, 0, subscriptions=subscriptions(MOST_SUBSCRIPTIONS + 1))
    _, reads = read_delivery(Scripted(filtered), {TOPIC: topic})
    assert reads[-1].status is ReadStatus.PARTIAL
    assert len(reads) == MOST_SUBSCRIPTIONS + 1


def test_topics_that_are_not_there_or_not_known_are_left_alone():
    for exists in (False, None):
        topic = Topic(TOPIC, exists, 0, 0)
        assert read_delivery(Scripted({}), {TOPIC: topic}) == ({TOPIC: topic}, [])


def test_the_readiness_policy_allows_every_call():
    allowed = {
        action for statement in policy_for(Purpose.readiness, load_settings())["Statement"] for action in statement["Action"]
    }
    assert set(IAM_ACTIONS) <= allowed
