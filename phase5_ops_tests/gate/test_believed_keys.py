"""The pinned keys are believed, whatever KMS says by now; a key that was once revoked never comes back."""

from dataclasses import replace
from datetime import timedelta

import pytest

from phase5_ops.gate.believed_keys import believed_keys, keys_file, merged, pinned_keys, signing_key, write_keys
from phase5_ops.gate.fixed_clock import refuse_fixed_clock
from phase5_ops.gate.keys import SIGNERS, KeysError, key_set
from phase5_ops.sandbox.seed import _seed_signing_keys
from phase5_ops.settings import ConfigurationError, load_settings
from phase5_ops_tests.gate.conftest import NOW, Signers


@pytest.fixture
def settings(tmp_path):
    return load_settings(state_dir=tmp_path)


@pytest.fixture
def seeded(aws):
    kms = aws.client("kms")
    for alias in kms.list_aliases()["Aliases"]:
        if alias["AliasName"].startswith("alias/phase5-"):
            kms.delete_alias(AliasName=alias["AliasName"])
    _seed_signing_keys(kms)
    return kms


def test_without_a_file_the_keys_in_kms_are_believed_and_with_one_only_the_file(seeded, reader, settings):
    in_kms = believed_keys(reader, settings)
    assert {key.role for key in in_kms.keys.values()} == set(SIGNERS)
    assert pinned_keys(settings) is None
    write_keys(keys_file(settings), in_kms)
    other = seeded.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    assert signing_key(reader, settings.signing, "ops-sre", believed_keys(reader, settings)).role == "ops-sre"
    seeded.update_alias(AliasName=settings.signing.ops_sre_key, TargetKeyId=other)
    assert believed_keys(reader, settings).keys.keys() == in_kms.keys.keys()
    with pytest.raises(KeysError, match="not the believed key of ops-sre"):
        signing_key(reader, settings.signing, "ops-sre", believed_keys(reader, settings))


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff"])
def test_a_file_that_cannot_be_used_is_never_passed_over(reader, settings, content):
    keys_file(settings).write_bytes(content)
    with pytest.raises(KeysError, match=r"keys\.json"):
        believed_keys(reader, settings)


def test_a_replaced_key_is_kept_as_revoked(signers):
    before = signers.keys()
    after = key_set([key for key in before.keys.values() if key.role != "ops-sre"] + [Signers.fresh().trusted("ops-sre")])
    keys, changes = merged(before, after, NOW)
    old = keys.keys[before.present("ops-sre").key_id]
    assert old.revoked_at == NOW
    assert keys.present("ops-sre").key_id == after.present("ops-sre").key_id
    assert len(changes) == 2
    again, changes = merged(keys, after, NOW + timedelta(days=1))
    assert (again.keys[old.key_id].revoked_at, changes) == (NOW, ())
    with pytest.raises(KeysError, match="revoked"):
        merged(keys, before, NOW)


def test_a_key_does_not_change_its_role(signers):
    before = signers.keys()
    first, second = before.present("ops-sre"), before.present("eng-reliability")
    rest = [key for key in before.keys.values() if key.role not in ("ops-sre", "eng-reliability")]
    swapped = key_set([*rest, replace(first, role="eng-reliability"), replace(second, role="ops-sre")])
    with pytest.raises(KeysError, match="another role"):
        merged(before, swapped, NOW)


@pytest.mark.parametrize(
    ("environment", "endpoint", "refused"),
    [
        ("sandbox", "http://127.0.0.1:5000", False),
        ("sandbox", None, True),
        ("sandbox", "https://127.0.0.1.example.com", True),
        ("production", "http://127.0.0.1:5000", True),
    ],
)
def test_a_fixed_clock_is_refused_outside_the_sandbox(monkeypatch, environment, endpoint, refused):
    monkeypatch.setenv("PHASE5_NOW", "2026-11-23T12:00:00Z")
    monkeypatch.setenv("PHASE5_ENVIRONMENT", environment)
    if endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    if refused:
        with pytest.raises(ConfigurationError, match="PHASE5_NOW"):
            refuse_fixed_clock(load_settings(), "signing")
    else:
        refuse_fixed_clock(load_settings(), "signing")
