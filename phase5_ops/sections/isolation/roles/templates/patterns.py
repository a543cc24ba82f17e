"""Compares patterns with IAM's wildcards: may two of them mean the same thing."""

import re
from functools import cache

from phase5_ops.sections.isolation.roles.evidence import UNKNOWN

#: Stand for the stack's own partition, region and account, which are not known.
OWN_PARTITION, OWN_REGION, OWN_ACCOUNT = "${own-partition}", "${own-region}", "${own-account}"

_OWN = re.compile(r"\$\{own-(partition|region|account)\}")
#: `{{resolve:ssm:...}}`: CloudFormation puts the value in when it deploys.
_DYNAMIC = re.compile(r"\{\{resolve:.*?\}\}")
_VARIABLE = re.compile(r"\$\{[^}]*\}")
ARN_PARTS = 6


def settled(text: str) -> str:
    """A resolved text with UNKNOWN for what is not known; an ARN's own partition, region and account become `*`."""
    parts = text.split(":", ARN_PARTS - 1)
    if parts[0] == "arn" and len(parts) == ARN_PARTS:
        for place, own in ((1, OWN_PARTITION), (3, OWN_REGION), (4, OWN_ACCOUNT)):
            parts[place] = "*" if parts[place] == own else parts[place]
    return _DYNAMIC.sub(UNKNOWN, _OWN.sub(UNKNOWN, ":".join(parts)))


@cache
def overlap(one: str, other: str) -> bool:
    """Whether some text fits both patterns; variables and UNKNOWN fit anything."""
    left, right = (re.sub(r"\*+", "*", _VARIABLE.sub("*", pattern)) for pattern in (one, other))
    waiting, seen = [(0, 0)], {(0, 0)}
    while waiting:
        i, j = waiting.pop()
        if i == len(left) and j == len(right):
            return True
        a, b = left[i : i + 1], right[j : j + 1]
        following = []
        if a == "*":
            following += [(i + 1, j), (i, j + 1)] if b else [(i + 1, j)]
        if b == "*":
            following += [(i, j + 1), (i + 1, j)] if a else [(i, j + 1)]
        if a and b and (a == b or "?" in (a, b)):
            following.append((i + 1, j + 1))
        for state in following:
            if state not in seen:
                seen.add(state)
                waiting.append(state)
    return False
