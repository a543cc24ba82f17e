"""Every channel puts a name where it says, as it says, and the guard reads each value out of it again."""

import json
from dataclasses import replace

import pytest

from phase5_ops.probing.channel import ACCOUNT_CHANNELS, CHANNELS, TENANT_CHANNELS, Channel, Form, Medium, Subject
from phase5_ops.probing.guard import METHODS, ForbiddenTarget, Ground, check, check_cross_tenant
from phase5_ops.probing.request import Request

ACCOUNTS = ("phase5-account-a", "phase5-account-b")
GROUND = Ground("phase5-a", "phase5-b", frozenset(ACCOUNTS), frozenset(("ai_1_phase5x",)), frozenset(("me",)))
BODY = {"action_intent_id": "ai_1_phase5x", "account_id": ACCOUNTS[0], "replay_reason": "phase5 probe x", "requested_by": "me"}
BASE = Request("POST", "/replay", {}, {"Authorization": "Bearer x"}, BODY)


def own_and_other(channel: Channel) -> tuple[str, str]:
    return ("phase5-a", "phase5-b") if channel.subject is Subject.TENANT else ACCOUNTS


def named(channel: Channel, value: str) -> Request:
    return channel.put(BASE, value, own_and_other(channel)[0])


@pytest.mark.parametrize("channel", CHANNELS.values(), ids=lambda channel: channel.name)
def test_a_channel_names_what_it_should_and_the_guard_lets_only_our_names_through(channel):
    request = named(channel, own_and_other(channel)[1])
    assert request != BASE
    check(request, GROUND)
    for foreign in ("acme", "phase5-b2", "phase5-b ", "phase5-b,acme"):
        with pytest.raises(ForbiddenTarget):
            check(named(channel, foreign), GROUND)
    crossed = ACCOUNTS[1] if channel.subject is Subject.TENANT else "phase5-b"
    with pytest.raises(ForbiddenTarget):
        check(named(channel, crossed), GROUND)  # an account where a tenant belongs, and the other way round


@pytest.mark.parametrize(
    "channel", [each for each in TENANT_CHANNELS if each.medium in (Medium.QUERY, Medium.HEADER, Medium.PROXY_HEADER)]
)
def test_the_guard_of_the_other_routes_knows_the_same_channels(channel):
    request = channel.put(Request("GET", "/config", {}, {"Authorization": "Bearer x"}), "phase5-b", "phase5-a")
    check_cross_tenant(request, GROUND)
    with pytest.raises(ForbiddenTarget):
        check_cross_tenant(channel.put(Request("GET", "/config"), "acme", "phase5-a"), GROUND)


def test_names_are_sent_as_spelled_and_as_often_as_given():
    request = named(CHANNELS["header_own_first"], "phase5-b")
    assert [value for name, value in request.header_pairs if name == "x-tenant-id"] == ["phase5-a", "phase5-b"]
    assert ("X-TENANT-ID", "phase5-b") in named(CHANNELS["header_upper_case"], "phase5-b").header_pairs
    assert named(CHANNELS["query_own_last"], "phase5-b").target == "/replay?tenant_id=phase5-b&tenant_id=phase5-a"
    assert named(CHANNELS["query_array"], "phase5-b").target == "/replay?tenant_id%5B%5D=phase5-b"
    assert named(CHANNELS["path"], "phase5-b").path == "/tenants/phase5-b/replay"
    assert ("Cookie", "tenant_id=phase5-b") in named(CHANNELS["cookie"], "phase5-b").header_pairs


@pytest.mark.parametrize(("name", "kept"), [("account_body_own_first", ACCOUNTS[1]), ("account_body_own_last", ACCOUNTS[0])])
def test_a_field_of_the_body_can_be_given_twice(name, kept):
    content = named(CHANNELS[name], ACCOUNTS[1]).content
    pairs = json.loads(content, object_pairs_hook=list)
    assert sorted(value for field, value in pairs if field == "account_id") == sorted(ACCOUNTS)
    assert json.loads(content) == {**BODY, "account_id": kept}  # Python, like JavaScript, keeps the last


def test_channels_differ_in_what_they_send_and_each_medium_and_form_is_there():
    for channels in (TENANT_CHANNELS, ACCOUNT_CHANNELS):
        sent = {(request.method, request.target, str(request.header_pairs), request.content) for request in map(_other, channels)}
        assert len(sent) == len(channels)
        assert {channel.medium for channel in channels} >= set(Medium) - {Medium.PROXY_HEADER}
    assert {channel.form for channel in TENANT_CHANNELS} == set(Form)
    assert len(CHANNELS) == len(TENANT_CHANNELS) + len(ACCOUNT_CHANNELS)


def _other(channel: Channel) -> Request:
    return named(channel, own_and_other(channel)[1])


@pytest.mark.parametrize("method", METHODS)
def test_what_carries_no_mark_of_a_probe_is_refused_whatever_its_method(method):
    check(replace(BASE, method=method), GROUND)
    for fields in ({}, {"account_id": ACCOUNTS[0]}, {"tenant_id": "phase5-a"}):
        with pytest.raises(ForbiddenTarget):
            check(Request(method, "/replay", fields), GROUND)


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Cookie", "tenant_id=phase5-b; session=1"),
        ("x-amzn-request-context", '{"authorizer": {"claims": {"custom:tenant_id": "phase5-b", "sub": "acme"}}}'),
        ("x-original-url", "/replay?tenant_id=phase5-b&tenant_id=acme"),
        ("x-original-url", "/config?tenant_id=phase5-b"),
        ("X-HTTP-Method-Override", "OPTIONS"),
        ("X-Forwarded-For", "10.0.0.1"),
    ],
)
def test_what_a_channel_would_not_send_is_refused(header, value):
    with pytest.raises(ForbiddenTarget):
        check(replace(BASE, headers={header: value}), GROUND)
