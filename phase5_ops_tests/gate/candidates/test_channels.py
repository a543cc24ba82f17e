"""Channels: a webhook's requests are signed as documented, bounded in time, and no failure shows its address."""

import json
import os
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from phase5_ops.aws.reader import AwsReader
from phase5_ops.gate.candidates.channels import IDEMPOTENCY_KEY, SIGNATURE, TIMESTAMP, channels, for_slack, give, whole_text
from phase5_ops.gate.state.notice_box import Notice
from phase5_ops.policy import NotificationPolicy
from phase5_ops.settings import ConfigurationError, ReadingSettings, load_settings
from phase5_ops_tests.gate.candidates.hook import hook, seconds_of
from phase5_ops_tests.gate.own_aws import DIGEST
from phase5_ops_tests.places import ROOT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET = {"GATE_SECRET": "s3cret & 'quoted'"}
HOSTILE = "<!channel> <script>alert(1)</script> & `x` \u202e" + "x" * 300
NOTICE = Notice(
    "i" * 32, "closed", f"Mend {HOSTILE}.", "1.2 FAIL a", NOW, "production", "r-1", DIGEST, 1, "https://d.example.com/runs/1?a=1&b=2",
    {"webhook": 0}, NOW,
)  # fmt: skip


def policy(url: str, **changes) -> NotificationPolicy:
    return NotificationPolicy(**{"webhook_url": url, "webhook_secret_variable": "GATE_SECRET", **changes})


def given(chosen: NotificationPolicy, *, now: datetime = NOW, variables=SECRET) -> str | None:
    return give("webhook", AwsReader(ReadingSettings()), chosen, NOTICE, now=now, variables=variables)


def blocks(language: str) -> str:
    text = (ROOT / "docs/notifications.md").read_text(encoding="utf-8")
    [found] = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def test_the_documented_code_verifies_what_is_posted_and_refuses_anything_else(tmp_path):
    now = datetime.now(UTC)
    with hook() as receiver:
        assert given(policy(receiver.url), now=now) is None
    [(headers, body)] = receiver.requests
    names: dict = {}
    exec(blocks("python"), names)  # the code that the document gives
    verify, timestamp, signature = names["is_from_the_gate"], headers[TIMESTAMP], headers[SIGNATURE]
    assert verify(SECRET["GATE_SECRET"], timestamp, body, signature)
    assert not verify("another", timestamp, body, signature)
    assert not verify(SECRET["GATE_SECRET"], timestamp, body + b" ", signature)
    assert not verify(SECRET["GATE_SECRET"], str(int(timestamp) + 1), body, signature)
    old = str(int((now - timedelta(hours=1)).timestamp()))
    with hook() as receiver:
        assert given(policy(receiver.url), now=now - timedelta(hours=1)) is None
    assert not verify(SECRET["GATE_SECRET"], old, receiver.requests[0][1], receiver.requests[0][0][SIGNATURE])
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl here: the shell's half of the document was not tried")
    (tmp_path / "body").write_bytes(body)
    shell = {"PATH": os.environ["PATH"], "TIMESTAMP": timestamp, "SECRET": SECRET["GATE_SECRET"]}
    ends = [
        subprocess.run(["bash", "-euc", blocks("bash")], cwd=tmp_path, env={**shell, "SIGNATURE": each}, check=False).returncode
        for each in (signature, "v1=" + "0" * 64)
    ]
    assert ends == [0, 1]


def test_the_body_says_everything_and_the_key_is_the_same_at_each_try():
    with hook(500, 200) as receiver:
        assert given(policy(receiver.url)) == "webhook: HTTP 500"
        assert given(policy(receiver.url), now=NOW + timedelta(minutes=1)) is None
    (first, body), (second, again) = receiver.requests
    assert first[IDEMPOTENCY_KEY] == second[IDEMPOTENCY_KEY] == NOTICE.id
    assert first[SIGNATURE] != second[SIGNATURE]
    content = json.loads(body)
    assert body == again
    assert (content["schema"], content["id"], content["kind"]) == ("phase5.notification/v1", NOTICE.id, "closed")
    assert content["text"].splitlines()[0] == content["do"] == NOTICE.do
    assert (content["release"], content["digest"], content["series"]) == ("r-1", DIGEST, 1)


def test_slack_is_given_text_that_steers_nothing():
    with hook() as receiver:
        assert given(policy(receiver.url, webhook_format="slack", webhook_secret_variable=None), variables={}) is None
    [(headers, body)] = receiver.requests
    content = json.loads(body)
    assert SIGNATURE not in headers
    assert content == {"text": for_slack(whole_text(NOTICE)), "mrkdwn": False}
    assert "&lt;!channel&gt; &lt;script&gt;alert(1)&lt;/script&gt; &amp; " in content["text"]
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", content["text"])


@pytest.mark.parametrize("status", [302, 401, 404, 429, 503])
def test_what_is_not_taken_is_said_without_the_address(status):
    with hook(status) as receiver:
        assert given(policy(receiver.url)) == f"webhook: HTTP {status}"
    assert len(receiver.requests) == 1


def test_a_webhook_that_is_not_there_is_said_without_the_address():
    with hook() as receiver:
        pass
    problem = given(policy(receiver.url))
    assert problem.startswith("webhook: ")
    assert "secret-path" not in problem
    assert "127.0.0.1" not in problem


def test_an_answer_that_never_ends_takes_no_longer_than_the_limit():
    with hook(0) as receiver:
        problems = []
        assert seconds_of(lambda: problems.append(given(policy(receiver.url, webhook_timeout_seconds=0.3)))) < 5
    assert problems == ["webhook: DeadlineExceeded"]


def test_without_its_secret_nothing_is_posted():
    with hook() as receiver:
        problem = given(policy(receiver.url), variables={})
    assert "GATE_SECRET" in problem
    assert receiver.requests == []


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://hooks.example.com/x?token=t", True),
        ("http://127.0.0.1:8080/x", True),
        ("http://hooks.example.com/x", False),
        ("http://127.0.0.1.example.com/x", False),
        ("https://user:word@example.com/x", False),
        ("ftp://example.com", False),
        ("https://example.com/a b", False),
    ],
)
def test_only_an_encrypted_address_is_taken_and_it_is_never_shown(monkeypatch, url, fine):
    monkeypatch.setenv("PHASE5_NOTIFICATIONS__WEBHOOK_URL", url)
    monkeypatch.setenv("PHASE5_NOTIFICATIONS__WEBHOOK_SECRET_VARIABLE", "GATE_SECRET")
    if fine:
        settings = load_settings()
        assert channels(settings.notifications) == ("webhook",)
        assert url not in repr(settings)
        assert url not in str(settings.model_dump(mode="json"))
        return
    with pytest.raises(ConfigurationError, match="needs https") as refused:
        load_settings()
    assert url not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "said"), [(None, "needs webhook_secret_variable"), ("PHASE5_SECRET", "taken for a setting")]
)
def test_an_unsigned_webhook_or_a_variable_that_is_a_setting_is_refused(monkeypatch, variable, said):
    monkeypatch.setenv("PHASE5_NOTIFICATIONS__WEBHOOK_URL", "https://hooks.example.com/x")
    if variable:
        monkeypatch.setenv("PHASE5_NOTIFICATIONS__WEBHOOK_SECRET_VARIABLE", variable)
    with pytest.raises(ConfigurationError, match=said):
        load_settings()
