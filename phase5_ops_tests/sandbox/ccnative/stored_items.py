"""A running platform as tests drive it: over HTTP and the bus, looking at its tables afterwards."""

import json
import secrets
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

from phase5_ops.sandbox.aws.inside import from_item
from phase5_ops.sandbox.state import records
from phase5_ops.sandbox.state.probe_tenants import A, B

OWN, OUT_OF_SCOPE, FOREIGN = "canary-a-1", "canary-a-2", "canary-b-1"
REASON = "a test"


class Ccnative:
    """The platform of one sandbox."""

    def __init__(self, sandbox):
        self.sandbox, self.platform, self.aws = sandbox, sandbox.platform, sandbox.inside
        self.platform_faults = sandbox.platform_faults
        self._session, self._clients = sandbox.session(), {}
        self.token = self.platform.pool.tokens(A)["IdToken"]
        self.token_b = self.platform.pool.tokens(B)["IdToken"]

    def client(self, service):
        """A client of the sandbox's endpoint, as `phase5` would have it."""
        if service not in self._clients:
            self._clients[service] = self._session.client(service, endpoint_url=self.sandbox.endpoint)
        return self._clients[service]

    def intent(self, *, tenant=A.tenant_id, account=OWN, action_type="CREATE_INTERNAL_NOTE", parameters=None, **changes):
        """Puts an approved intent and returns its id."""
        intent_id = f"ai_{records.milliseconds(self.sandbox.clock.now())}_{secrets.token_hex(4)}"
        item = records.intent(
            intent_id,
            tenant=tenant,
            account=account,
            action_type=action_type,
            parameters={"content": "a note", "title": "a title"} if parameters is None else parameters,
            at=self.sandbox.clock.now(),
            trace_id="trace-decision",
        )
        self.aws.put(records.INTENTS, item | changes)
        return intent_id

    def request(self, method, path, body=None, *, token="", headers=(), query=None, timeout=5):
        """Sends a request and returns status and decoded JSON; header names go out as they are written."""
        address = urlsplit(self.platform.control_center.url)
        connection = HTTPConnection(address.hostname, address.port, timeout=timeout)
        try:
            connection.putrequest(method, path + (f"?{urlencode(query)}" if query else ""))
            content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
            connection.putheader("Content-Length", str(len(content)))
            for name, value in headers:
                connection.putheader(name, value)
            if token:
                connection.putheader("Authorization", f"Bearer {token}")
            connection.endheaders(content)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text[:1] in (b"{", b"[") else text
        finally:
            connection.close()

    def replay(self, intent_id, *, account=OWN, token=None, headers=(), query=None, **body):
        """Asks for a replay as user A unless told otherwise; a field set to None is left out. Returns the status."""
        fields = {"action_intent_id": intent_id, "account_id": account, "replay_reason": REASON, "requested_by": "somebody"}
        content = {name: value for name, value in (fields | body).items() if value is not None}
        token = self.token if token is None else token
        return self.request("POST", "/replay", content, token=token, headers=headers, query=query)[0]

    def entries(self, intent_id, tenant=A.tenant_id):
        """The ledger entries about an intent in a tenant's partition once all is quiet, oldest first."""
        return self.stories(tenant).get(intent_id, [])

    def stories(self, tenant=A.tenant_id):
        """Every intent's entries in a tenant's partition once all is quiet, oldest first."""
        assert self.platform.executor.wait_idle()
        pages = self.aws.dynamodb.get_paginator("query").paginate(
            TableName=records.LEDGER,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": records.tenant_key(tenant)}},
        )
        items = pages.build_full_result()["Items"]
        entries = [from_item(item) for item in items]
        intents = {entry["traceId"]: intent for entry in entries if (intent := entry["data"].get("action_intent_id"))}
        stories = {intent: [] for intent in intents.values()}
        for entry in entries:
            if entry["traceId"] in intents:
                stories[intents[entry["traceId"]]].append(entry)
        return stories

    def events(self, intent_id, tenant=A.tenant_id):
        """The types of those entries."""
        return [entry["eventType"] for entry in self.entries(intent_id, tenant)]

    def item(self, table, intent_id, prefix, *, tenant=A.tenant_id, account=OWN):
        """One item of an account's partition."""
        return self.aws.get(table, pk=records.account_key(tenant, account), sk=f"{prefix}#{intent_id}")

    def approve(self, intent_id, *, tenant=A.tenant_id, account=OWN, bus="cc-native-events", **detail):
        """Puts ACTION_APPROVED on the bus, through the endpoint."""
        names = {"action_intent_id": intent_id, "tenant_id": tenant, "account_id": account}
        self.put_event("ACTION_APPROVED", {"data": names | detail}, bus=bus)

    def put_event(self, detail_type, detail, *, source="cc-native", bus="cc-native-events"):
        """Puts one event on a bus, through the endpoint."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail), "EventBusName": bus}
        assert self.client("events").put_events(Entries=[entry])["FailedEntryCount"] == 0

    def log(self, function):
        """The messages of a function's log group, in order."""
        pages = self.client("logs").get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/cc-native-{function}")
        return [event["message"] for page in pages for event in page["events"]]
