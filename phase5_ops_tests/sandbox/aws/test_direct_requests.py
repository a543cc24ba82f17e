"""What goes straight to moto's handlers is answered as Flask, or moto's own stand-in for the network, answers it."""

import json
import random
from contextlib import contextmanager, suppress
from http import HTTPStatus
from urllib.parse import urlsplit

import boto3
import pytest
from botocore import UNSIGNED
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.moto_api._internal import mock_random
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import Client

from phase5_ops.sandbox.aws import direct_requests, dynamodb
from phase5_ops.sandbox.aws.moto_state import own_aws

KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
ACCOUNT = "123456789012"
MISSING = {
    "iam": ("get_role", {"RoleName": "missing"}),
    "kms": ("get_public_key", {"KeyId": "alias/missing"}),
    "logs": ("filter_log_events", {"logGroupName": "missing"}),
    "cloudwatch": ("get_dashboard", {"DashboardName": "missing"}),
    "sns": ("get_topic_attributes", {"TopicArn": f"arn:aws:sns:us-west-2:{ACCOUNT}:missing"}),
    "events": ("describe_rule", {"Name": "missing"}),
    "cognito-idp": ("admin_get_user", {"UserPoolId": "us-west-2_missing", "Username": "nobody"}),
    "budgets": ("describe_budget", {"AccountId": ACCOUNT, "BudgetName": "missing"}),
}
FOUND = {
    "iam": [("list_roles", {}), ("get_role_policy", {"RoleName": "r", "PolicyName": "p"})],
    "kms": [("describe_key", {"KeyId": "alias/k"}), ("get_public_key", {"KeyId": "alias/k"})],
    "logs": [("describe_log_groups", {}), ("put_retention_policy", {"logGroupName": "g", "retentionInDays": 1})],
    "cloudwatch": [("list_dashboards", {}), ("list_metrics", {})],
    "sns": [("list_topics", {}), ("publish", {"TopicArn": f"arn:aws:sns:us-west-2:{ACCOUNT}:t", "Message": "ä & <b>"})],
    "events": [("list_rules", {}), ("list_event_buses", {})],
    "sts": [("get_caller_identity", {}), ("get_access_key_info", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE"})],
    "cognito-idp": [("list_user_pools", {"MaxResults": 3})],
    "budgets": [("describe_budgets", {"AccountId": ACCOUNT})],
}
ASKED = [
    *((service, *asked) for service, several in FOUND.items() for asked in several),
    *((service, *asked) for service, asked in MISSING.items()),
]


@pytest.fixture(scope="module")
def filled():
    """An AWS in which there is something to find."""
    with own_aws(), mock_aws(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOTO_ACCOUNT_ID", ACCOUNT)
        client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")
        allowed = [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]
        document = json.dumps({"Version": "2012-10-17", "Statement": allowed})
        client("iam").put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
        key = client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        client("kms").create_alias(AliasName="alias/k", TargetKeyId=key)
        client("logs").create_log_group(logGroupName="g")
        client("sns").create_topic(Name="t")
        client("events").put_rule(Name="e", ScheduleExpression="rate(1 day)")
        client("cognito-idp").create_user_pool(PoolName="pool")
        limit = {"Amount": "1", "Unit": "USD"}
        budget = {"BudgetName": "b", "BudgetLimit": limit, "TimeUnit": "MONTHLY", "BudgetType": "COST"}
        client("budgets").create_budget(AccountId=ACCOUNT, Budget=budget)
        yield


def client(service, **config):
    return boto3.client(service, "us-west-2", **KEYS, config=Config(retries={"total_max_attempts": 1}, **config))


def sent(service, operation, parameters, **config) -> AWSPreparedRequest:
    """The request that botocore makes of a call."""
    asked: list[AWSPreparedRequest] = []
    caller = client(service, **config)
    caller.meta.events.register_first("before-send", lambda request, **_: asked.append(request))
    with suppress(ClientError):
        getattr(caller, operation)(**parameters)
    return asked[0]


@contextmanager
def same_draws():
    """What is drawn in this block is drawn in each."""
    before = random.getstate()
    random.seed(1)
    mock_random.seed(1)
    yield
    random.setstate(before)


def never(*_):
    raise AssertionError("Flask is asked")


@pytest.mark.parametrize(("service", "operation", "parameters"), ASKED)
def test_what_is_served_past_flask_is_the_same(filled, service, operation, parameters):
    request = sent(service, operation, parameters)
    url = urlsplit(request.url)
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    flask = DomainDispatcherApplication(create_backend_app)
    answers = []
    for application in (flask, direct_requests.served_directly(never if url.path == "/" else flask)):
        with same_draws():
            answer = Client(application).post(url.path, data=request.body, headers=headers)
        kept = {name: value for name, value in answer.headers.items() if not name.startswith("Access-Control-")}  # CORS
        kept.pop("date", None)
        answers.append((answer.status, kept, answer.data))
    theirs, ours = answers
    assert ours == theirs
    assert (MISSING.get(service) == (operation, parameters)) == (int(theirs[0].split()[0]) >= HTTPStatus.BAD_REQUEST)


@pytest.mark.parametrize(("service", "operation", "parameters"), ASKED)
def test_what_the_platform_asks_is_answered_the_same(filled, service, operation, parameters):
    request = sent(service, operation, parameters, signature_version=UNSIGNED)
    name = client(service).meta.service_model.signing_name
    with same_draws():
        status, headers, body = BotocoreStubber().process_request(request)
    with same_draws():
        answer = direct_requests.answered_inside(name, request)
    if urlsplit(request.url).path not in ("", "/"):
        assert answer is None
        return
    headers, given = ({key: value for key, value in each.items() if key != "date"} for each in (headers, dict(answer.headers)))
    assert (answer.status_code, given) == (int(status), headers)
    assert answer.content == (body.encode() if isinstance(body, str) else body)


@pytest.mark.parametrize(
    ("name", "method", "url", "body"),
    [
        ("s3", "POST", "https://s3.us-west-2.amazonaws.com/", b""),
        ("sns", "GET", "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-1.pem", b""),
        ("monitoring", "POST", "https://monitoring.us-west-2.amazonaws.com/service/GraniteServiceVersion20100801/x", b""),
        ("sts", "POST", "https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity", b""),
        ("kms", "POST", "https://kms.us-west-2.amazonaws.com/", iter([b"a stream"])),
    ],
)
def test_other_requests_of_the_platform_go_motos_way(name, method, url, body):
    assert direct_requests.answered_inside(name, AWSPreparedRequest(method, url, {}, body, False)) is None


@pytest.mark.parametrize(
    ("method", "target", "signed_for"),
    [("GET", "/", "sts"), ("POST", "/bucket", "kms"), ("POST", "/?x=y", "sns"), ("POST", "/", "s3"), ("POST", "/", None)],
)
def test_other_requests_go_through_the_application(method, target, signed_for):
    asked = []

    def application(environ, start_response):
        asked.append(environ["REQUEST_METHOD"])
        start_response("200 OK", [])
        return [b""]

    scope = f"AWS4-HMAC-SHA256 Credential=test/20261123/us-west-2/{signed_for}/aws4_request, Signature=b"
    headers = {"Authorization": scope} if signed_for else {}
    Client(direct_requests.served_directly(application)).open(target, method=method, headers=headers)
    assert asked == [method]


def test_a_request_that_moto_refuses_before_it_is_handled_gets_its_answer(monkeypatch):
    def refuse(*_):
        raise RequestEntityTooLarge

    monkeypatch.setattr(direct_requests.KmsResponse, "setup_class", refuse)
    scope = "AWS4-HMAC-SHA256 Credential=test/20261123/us-west-2/kms/aws4_request, Signature=b"
    theirs, ours = (
        Client(application).post("/", data=b"{}", headers={"Authorization": scope, "X-Amz-Target": "TrentService.ListKeys"})
        for application in (DomainDispatcherApplication(create_backend_app), direct_requests.served_directly(never))
    )
    assert (ours.status, ours.data) == (theirs.status, theirs.data)
    assert ours.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    request = AWSPreparedRequest("POST", "https://kms.us-west-2.amazonaws.com/", {}, b"{}", False)
    assert direct_requests.answered_inside("kms", request).status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_dynamodb_has_its_own_way(monkeypatch):
    monkeypatch.setattr(dynamodb, "answered_inside", lambda request: request)
    assert direct_requests.answered_inside("dynamodb", "asked") == "asked"
