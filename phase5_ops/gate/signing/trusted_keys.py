"""Which keys this gate trusts: the file `keys.json` of the state folder, or where there never was one, the present keys in KMS.

The file pins the keys: with it, an alias that points to another key by now, or a key policy that lets somebody in, gives no new
signer. It also keeps revoked keys, so that what they signed before still verifies. `phase5 init` writes it, leaves a mark beside
it, and notes in the state table which keys it pinned. Where the mark or the note says that there were keys and the file is not
there, cannot be used, or holds others, no key is trusted. What must not live here: signing, deciding.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from phase5_ops.aws.reader import AwsReader
from phase5_ops.clock import iso
from phase5_ops.files import write_whole
from phase5_ops.gate.attestation.keys import SIGNERS, KeysError, KeySet, TrustedKey, key_set, keys_document, parse_keys
from phase5_ops.gate.attestation.said_by_decision import SKEW
from phase5_ops.gate.signing.kms import load_key, load_keys
from phase5_ops.gate.state.items import PinnedKeys, Written
from phase5_ops.gate.state.table import StateTable
from phase5_ops.policy import SigningPolicy
from phase5_ops.settings import Settings

log = logging.getLogger(__name__)

FILE_NAME = "keys.json"
#: The mark beside it, which says that the folder has had pinned keys.
MARK_NAME = "keys.pinned"
_MARK = b"keys.json was here. Where it is gone, nothing is trusted until it is put back or phase5 init pins the keys anew.\n"
_REMEDY = (
    f"no key is trusted: restore the {FILE_NAME} that the last phase5 init wrote, or remove what is there and run phase5 init"
)


def keys_file(settings: Settings) -> Path:
    """Where the pinned keys are."""
    return settings.own_folder / FILE_NAME


def keys_in_kms(reader: AwsReader, settings: Settings, state: StateTable) -> KeySet:
    """The keys that are in KMS now, where no file of keys is or was here.

    Raises:
        KeysError: they differ from those that the state table says were pinned last.
        SigningError: KMS does not give the keys.
        StateError: the state table does not say which keys were pinned.
    """
    keys = load_keys(reader, settings.signing, SIGNERS)
    _refuse_others(keys, state.pinned_keys(settings.environment), "KMS", _latest(settings))
    return keys


def pinned_keys(settings: Settings, state: StateTable) -> KeySet | None:
    """The keys of the file; None if there is no file, and none was ever here.

    Raises:
        KeysError: the file is gone, cannot be read, is none, or holds other keys than the state table says were pinned last.
        StateError: the state table does not say which.
    """
    path = keys_file(settings)
    keys = read_keys(path)
    if keys is None:
        if os.path.lexists(path.with_name(MARK_NAME)):
            raise KeysError(f"{path} is gone, and keys were pinned there; {_REMEDY}")
        return None
    _refuse_others(keys, state.pinned_keys(settings.environment), str(path), _latest(settings))
    try:
        _mark(path)
    except OSError as error:
        log.warning("%s cannot be written: %s", path.with_name(MARK_NAME), error.strerror)
    return keys


def read_keys(path: Path) -> KeySet | None:
    """The keys of a file; None if there is nothing of that name.

    Raises:
        KeysError: it is a link to nothing, no plain file, cannot be read, or is no file of keys.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeysError(f"{path}: cannot be looked for: {error.strerror}; {_REMEDY}") from error
    try:
        if not path.is_file():
            raise KeysError(f"{path} is {'a link to nothing' if not path.exists() else 'no plain file'}; {_REMEDY}")
        content = path.read_bytes()
    except OSError as error:
        raise KeysError(f"{path}: cannot be read: {error.strerror}; {_REMEDY}") from error
    try:
        return parse_keys(content)
    except KeysError as error:
        raise KeysError(f"{path}: {error}") from error


def present_ids(keys: KeySet) -> dict[str, str]:
    """Role -> id of the key that it signs with now."""
    return {key.role: key.key_id for key in keys.keys.values() if key.revoked_at is None}


def _latest(settings: Settings) -> datetime:
    """The latest moment at which a key can have been revoked: now, by the wall clock or by `PHASE5_NOW`."""
    clock = datetime.now(UTC)
    return max(clock, settings.now or clock) + SKEW


def _refuse_others(keys: KeySet, noted: PinnedKeys | None, where: str, latest: datetime) -> None:
    """Refuses keys that are not those that were pinned last, revoked ones included: what those signed earlier is believed."""
    if noted is None:
        return
    present = present_ids(keys)
    others = {role for role in present.keys() | noted.present.keys() if present.get(role) != noted.present.get(role)}
    if roles := sorted(others | _strange_roles(keys, noted, latest)):
        raise KeysError(f"{where} has another key of {', '.join(roles)} than was pinned at {iso(noted.pinned_at)}; {_REMEDY}")


def _strange_roles(keys: KeySet, noted: PinnedKeys, latest: datetime) -> set[str]:
    """The roles with a revoked key that was never pinned for them, or that is revoked only in the future."""
    return {
        key.role
        for key in keys.keys.values()
        if key.revoked_at is not None
        and (key.revoked_at > latest or (noted.revoked is not None and noted.revoked.get(key.key_id) != key.role))
    }


def signing_key(reader: AwsReader, policy: SigningPolicy, role: str, trusted: KeySet) -> TrustedKey:
    """The key that a role signs with now, if it is the trusted one.

    Raises:
        SigningError: KMS does not give it.
        KeysError: it is not the trusted one.
    """
    key = load_key(reader, policy, role)
    present = trusted.present(role)
    if present is None or present.key_id != key.key_id:
        raise KeysError(
            f"the key {policy.key_of(role)} is not the trusted key of {role}; if it was replaced on purpose, run phase5 init"
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
            raise KeysError(_former(key.key_id, key.role, here.role))
        if here is None and key.revoked_at is None:
            changes.append(f"the key {key.key_id} of {key.role} is revoked as of {iso(now)}")
            kept.append(replace(key, revoked_at=now))
        elif here is None:
            kept.append(key)
    known = pinned.keys if pinned else {}
    changes += [f"the key {key.key_id} of {key.role} is new" for key in present.keys.values() if key.key_id not in known]
    return key_set([*present.keys.values(), *kept]), tuple(changes)


def _former(key_id: str, role: str, now_of: str) -> str:
    return f"key {key_id} of {role} was revoked or belonged to another role; the key must not sign for {now_of}"


def _refuse_former(present: KeySet, noted: PinnedKeys | None) -> None:
    """Refuses present keys by what the state table notes of them: the file may be gone, and with it what was revoked.

    Raises:
        KeysError: a revoked key is present again, or one has another role than before.
    """
    if noted is None:
        return
    roles = {key_id: role for role, key_id in noted.present.items()}
    for key in present.keys.values():
        if (role := (noted.revoked or {}).get(key.key_id)) or roles.get(key.key_id, key.role) != key.role:
            raise KeysError(_former(key.key_id, role or roles[key.key_id], key.role))


@dataclass(frozen=True, slots=True)
class Replaced:
    """The pinned keys that `phase5 init` would revoke or forget.

    Attributes:
        keys: id of each key that would be revoked -> its role.
        unknown: keys were pinned here, and nothing tells which: all of them would be forgotten.
    """

    keys: Mapping[str, str]
    unknown: bool = False

    def lines(self) -> tuple[str, ...]:
        """For people, a line each."""
        forgotten = (
            (f"{FILE_NAME} is gone, and nothing tells which keys the file held: those keys are forgotten",)
            if self.unknown
            else ()
        )
        return (*forgotten, *(f"the key {key_id} of {role} is revoked" for key_id, role in sorted(self.keys.items())))


class NotReplaced(Exception):
    """The person did not want pinned keys replaced; nothing was changed."""


def pin_keys(
    reader: AwsReader,
    settings: Settings,
    state: StateTable,
    now: datetime,
    *,
    may_replace: Callable[[Replaced], bool] = lambda _: False,
) -> tuple[str, ...]:
    """Pins the present keys of KMS in the file, and revokes those that they replaced; says what changed, a line each.

    Args:
        reader: asks KMS.
        settings: of the environment.
        state: the state table, which notes what is pinned.
        now: when replaced keys are revoked.
        may_replace: asked before any pinned key is replaced.

    Raises:
        SigningError: KMS does not give the keys; the file stays as it was.
        KeysError: the file cannot be used or has a revoked key that was never pinned, or a revoked key is present again.
        NotReplaced: `may_replace` said no.
        StateError: which keys are pinned cannot be read from the state table or noted there.
    """
    path = keys_file(settings)
    pinned, noted = read_keys(path), state.pinned_keys(settings.environment)
    if pinned is not None and noted is not None and (strange := _strange_roles(pinned, noted, max(now, _latest(settings)))):
        raise KeysError(f"{path} has a revoked key of {', '.join(sorted(strange))} that was never pinned; {_REMEDY}")
    present = load_keys(reader, settings.signing, SIGNERS)
    _refuse_former(present, noted)
    keys, changes = merged(pinned, present, now)
    replaced = _replaced(pinned, noted, present, marked=os.path.lexists(path.with_name(MARK_NAME)))
    if (replaced.keys or replaced.unknown) and not may_replace(replaced):
        raise NotReplaced("the pinned keys stay as they are")
    if changes or path.read_bytes() != _content(keys):  # or it is written as an earlier version wrote it
        write_keys(path, keys)
    ids, revoked = present_ids(keys), _revoked_ids(keys, noted)
    if noted is None or noted.present != ids or noted.revoked != revoked:
        done = state.note_pinned_keys(settings.environment, PinnedKeys(ids, now, revoked), instead_of=noted)
        if done is not Written.DONE:
            raise KeysError(
                "another phase5 init pinned other keys at the same time; look at those keys, then run phase5 init again"
            )
    return changes or ("the keys are pinned as they are",)


def _revoked_ids(keys: KeySet, noted: PinnedKeys | None) -> dict[str, str]:
    """Id -> role of every key that was ever pinned and is present no more: by the file, and by what is noted."""
    found = {**(noted.revoked or {}), **{key_id: role for role, key_id in noted.present.items()}} if noted else {}
    found |= {key.key_id: key.role for key in keys.keys.values()}
    present = present_ids(keys).values()
    return {key_id: role for key_id, role in found.items() if key_id not in present}


def _replaced(pinned: KeySet | None, noted: PinnedKeys | None, present: KeySet, *, marked: bool) -> Replaced:
    """Every key that was pinned last, by the file or the state table, and is neither present nor revoked already."""
    before = {key_id: role for role, key_id in noted.present.items()} if noted else {}
    before |= {key.key_id: key.role for key in pinned.keys.values()} if pinned else {}
    revoked = {key.key_id for key in pinned.keys.values() if key.revoked_at is not None} if pinned else set()
    gone = {key_id: role for key_id, role in before.items() if key_id not in present.keys and key_id not in revoked}
    return Replaced(gone, unknown=pinned is None and noted is None and marked)


def write_keys(path: Path, keys: KeySet) -> None:
    """Writes the file whole or not at all, and the mark beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, _content(keys))
    _mark(path)


def _content(keys: KeySet) -> bytes:
    return keys_document(keys) + b"\n"


def _mark(path: Path) -> None:
    mark = path.with_name(MARK_NAME)
    if not mark.exists():
        write_whole(mark, _MARK)
