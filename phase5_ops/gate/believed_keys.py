"""Which keys this gate believes: the file `keys.json` of the state folder, or where there is none, the present keys in KMS.

The file pins the keys: with it, an alias that points to another key by now, or a key policy that lets somebody in, gives no new
signer. It also keeps revoked keys, so that what they signed before still verifies. `phase5 init` writes it. What must not live
here: signing, deciding.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.gate.keys import SIGNERS, KeysError, KeySet, TrustedKey, key_set, keys_document, parse_keys
from phase5_ops.gate.signing import load_key, load_keys
from phase5_ops.policy import SigningPolicy
from phase5_ops.settings import Settings
from phase5_ops.whole_file import write_whole

FILE_NAME = "keys.json"


def keys_file(settings: Settings) -> Path:
    """Where the pinned keys are."""
    return settings.state_dir / FILE_NAME


def believed_keys(reader: AwsReader, settings: Settings) -> KeySet:
    """The keys that are believed: the file's, else those in KMS now.

    Raises:
        KeysError: the file is there and cannot be used; it is never passed over.
        SigningError: there is no file, and KMS does not give the keys.
    """
    pinned = pinned_keys(settings)
    return pinned if pinned is not None else load_keys(reader, settings.signing, SIGNERS)


def pinned_keys(settings: Settings) -> KeySet | None:
    """The keys of the file; None if there is no file.

    Raises:
        KeysError: the file cannot be read, or is none.
    """
    path = keys_file(settings)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return parse_keys(content)
    except KeysError as error:
        raise KeysError(f"{path}: {error}") from error


def signing_key(reader: AwsReader, policy: SigningPolicy, role: str, believed: KeySet) -> TrustedKey:
    """The key that a role signs with now, if it is the one that is believed.

    Raises:
        SigningError: KMS does not give it.
        KeysError: it is another than the believed one.
    """
    key = load_key(reader, policy, role)
    present = believed.present(role)
    if present is None or present.key_id != key.key_id:
        raise KeysError(
            f"the key {policy.key_of(role)} is not the believed key of {role}; if it was replaced on purpose, run phase5 init"
        )
    return key


def merged(pinned: KeySet | None, present: KeySet, now: datetime) -> tuple[KeySet, tuple[str, ...]]:
    """The keys to pin: the present ones, and the older ones as revoked.

    Returns:
        The keys, and what changed, a line each; nothing changed if it is empty.

    Raises:
        KeysError: a revoked key is present again.
    """
    older: Iterable[TrustedKey] = pinned.keys.values() if pinned else ()
    kept, changes = [], []
    for key in older:
        here = present.keys.get(key.key_id)
        if here is not None and (key.revoked_at is not None or here.role != key.role):
            raise KeysError(
                f"key {key.key_id} of {key.role} was revoked or belonged to another role; it must not sign for {here.role}"
            )
        if here is None and key.revoked_at is None:
            changes.append(f"the key {key.key_id} of {key.role} is revoked as of {iso(now)}")
            kept.append(replace(key, revoked_at=now))
        elif here is None:
            kept.append(key)
    known = pinned.keys if pinned else {}
    changes += [f"the key {key.key_id} of {key.role} is new" for key in present.keys.values() if key.key_id not in known]
    return key_set([*present.keys.values(), *kept]), tuple(changes)


def pin_keys(reader: AwsReader, settings: Settings, now: datetime) -> tuple[str, ...]:
    """Pins the present keys of KMS in the file, and revokes those that they replaced; says what changed, a line each.

    Raises:
        SigningError: KMS does not give the keys; the file stays as it was.
        KeysError: the file cannot be used, or a revoked key is present again.
    """
    keys, changes = merged(pinned_keys(settings), load_keys(reader, settings.signing, SIGNERS), now)
    if changes:
        write_keys(keys_file(settings), keys)
    return changes or ("the keys are pinned as they are",)


def write_keys(path: Path, keys: KeySet) -> None:
    """Writes the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, keys_document(keys) + b"\n")
