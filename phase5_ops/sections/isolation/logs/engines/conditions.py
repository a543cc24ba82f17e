"""What the scan of a part of the logs depends on beside the part, so that no result made under other conditions is merged.

The hashes of a scan are made with a secret. Parts that are merged share it, so it is kept where they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from phase5_ops.engines.partials import code_digest, json_digest
from phase5_ops.engines.places import KeptPlace
from phase5_ops.files import sha256_of
from phase5_ops.policy import LogScanPolicy
from phase5_ops.sections.isolation.logs.dictionary import TenantDictionary
from phase5_ops.sections.isolation.logs.layered import LayeredScanner
from phase5_ops.sections.isolation.logs.pieces import Scanning
from phase5_ops.sections.isolation.logs.tokens import HashKey

if TYPE_CHECKING:
    from phase5_ops.context import RunContext

SCAN = "log-scan"
_KEY = f"{SCAN}/hash-key"
_KEY_BYTES = 32
_CODE = ("phase5_ops.sections.isolation.logs", "phase5_ops.input_files", "phase5_ops.ccnative")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The ids that are searched for, how, and with which hash key."""

    dictionary: TenantDictionary
    policy: LogScanPolicy
    key: HashKey

    def scanning(self) -> Scanning:
        """How pieces are scanned under these conditions; making it takes its time."""
        policy = self.policy
        scanner = LayeredScanner(self.dictionary, base64=policy.base64, any_case=policy.any_letter_case, key=self.key)
        return Scanning(scanner, policy.exceptions)

    def depends_on(self, where: str) -> Mapping[str, str]:
        """What a kept part depends on, by name; `where` is that of `where_of`."""
        return {
            "account and region": where,
            "tenant ids": json_digest([self.dictionary.ids, sorted(self.dictionary.structured_only)]),
            "settings of the scan": json_digest(_of_the_scan(self.policy)),
            "hash key": sha256_of(self.key.secret),
            "code": code_digest(_CODE),
        }


def where_of(context: "RunContext") -> str:
    """The account and region that a run reads."""
    return f"{context.account}/{context.reader.region}"


def _of_the_scan(policy: LogScanPolicy) -> dict[str, Any]:
    """The settings that change what is found in a part."""
    names = {"group_prefixes", "base64", "any_letter_case", "exceptions", "common_words", "min_free_text_length"}
    return policy.model_dump(mode="json", include=names)


class HashKeyUnusable(Exception):
    """The kept hash key is none."""


def shared_key(place: KeptPlace) -> HashKey:
    """The hash key of all parts that are kept at a place; made by whoever is first.

    Raises:
        HashKeyUnusable: what is there is no key.
        Exception: whatever the store does.
    """
    place.create(_KEY, HashKey().secret)
    secret = place.read(_KEY)
    if len(secret) != _KEY_BYTES:
        raise HashKeyUnusable(f"{place.shown(_KEY)} has {len(secret)} bytes and not {_KEY_BYTES}: remove it, and scan again")
    return HashKey(secret)
