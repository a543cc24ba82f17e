"""Finding codes for what can keep probes from being sent, for every check that rests on probes. Pure."""

from dataclasses import dataclass

from phase5_ops.reads import Read
from phase5_ops.verdict import Finding, FindingCode, FindingCodes, Verdict


class ProbingCode(FindingCodes):
    """What can keep probes from being sent."""

    PROBES_OFF = FindingCode(
        Verdict.INCONCLUSIVE,
        "Probes are switched off, so nothing shows whom the replay API lets in.",
        "Set PHASE5_PROBE_MODE to full (or refusals, which leaves the rows undecided).",
        not_tried=True,
    )
    PROBE_SETTING_MISSING = FindingCode(
        Verdict.INCONCLUSIVE,
        "A setting that probes need is not set, so none was sent.",
        "Set what the finding names; the probe users belong to two dedicated test tenants.",
        not_tried=True,
    )
    PROBE_TENANT_REFUSED = FindingCode(
        Verdict.ERROR,
        "A configured test tenant is not known to be a test tenant, or a probe would have named something that belongs to neither"
        " test tenant; nothing was sent.",
        "Name a tenant that exists, whose id starts with PHASE5_PROBES__TEST_TENANT_PREFIX or whose tenants item has"
        " metadata.phase5_test_tenant = true. Never a customer.",
    )
    PROBES_STOPPED = FindingCode(
        Verdict.INCONCLUSIVE,
        "The platform's global stop, or the kill switch of a test tenant, is set, so no probe was sent.",
        "Run again when the stop is lifted.",
        not_tried=True,
    )
    STOP_UNREADABLE = FindingCode(
        Verdict.ERROR,
        "Whether the platform is stopped could not be read, so no probe was sent.",
        "Grant lambda:GetFunctionConfiguration and dynamodb:GetItem, or correct PHASE5_PROBES__STOP_FUNCTIONS.",
    )
    PROBE_LEASE_HELD = FindingCode(
        Verdict.INCONCLUSIVE,
        "Another run is probing, or was killed while it did, so this one sent nothing.",
        "Run again when that run is over, or when its lease has expired.",
        not_tried=True,
    )
    PROBE_RATE_LIMITED = FindingCode(
        Verdict.INCONCLUSIVE,
        "As many runs as may probe in one hour have done so.",
        "Run again in the next hour, or raise PHASE5_PROBES__RUNS_PER_HOUR.",
        not_tried=True,
    )
    PROBE_STATE_UNAVAILABLE = FindingCode(
        Verdict.ERROR,
        "The table that holds the probes' lease could not be read or written, so nothing was sent.",
        "Create it with `phase5 init`, or grant the actions that `phase5 iam-policy` lists.",
    )
    PROBE_TOKEN_UNAVAILABLE = FindingCode(
        Verdict.ERROR,
        "The user pool issued no token for a probe user.",
        "Check user name, password and the client's auth flow ALLOW_ADMIN_USER_PASSWORD_AUTH; give the user a permanent"
        " password and no MFA; for a client with a secret, put client_secret into the user's secret.",
    )
    PROBE_TOKEN_UNUSABLE = FindingCode(
        Verdict.ERROR,
        "The token issued for a probe user is not one of the configured test tenant.",
        "Give the user the attribute custom:tenant_id of its test tenant.",
    )
    PROBE_USER_MISSING = FindingCode(
        Verdict.INCONCLUSIVE,
        "The settings name no user for a kind of token, so nothing shows what such a token may do.",
        "Create these users in the user pool, each with the attributes that its setting describes, and name them in the settings;"
        " except for user B they need no rights.",
        not_tried=True,
    )
    PROBE_USER_UNFIT = FindingCode(
        Verdict.INCONCLUSIVE,
        "A further probe user got no token, or one of another kind than the user is for, so that kind of token was not tried.",
        "Give the user the attributes that its setting describes, a permanent password and no MFA.",
        not_tried=True,
    )
    PUBLIC_KEY_UNAVAILABLE = FindingCode(
        Verdict.INCONCLUSIVE,
        "The user pool's key set could not be read, so the tokens that are forged with it were not tried.",
        "Make /.well-known/jwks.json of the user pool reachable.",
        not_tried=True,
    )
    EXPIRED_TOKEN_UNAVAILABLE = FindingCode(
        Verdict.INCONCLUSIVE,
        "There is no genuine token that has expired yet, so whether one is refused was not tried.",
        "Run again when the token that this run keeps has expired (Cognito: 1 h), or set PHASE5_PROBES__EXPIRED_TOKEN_FILE.",
        not_tried=True,
    )
    ACCOUNT_SCOPE_NOT_TESTABLE = FindingCode(
        Verdict.INCONCLUSIVE,
        "User A's token does not limit it to its account, so nothing shows that the limit is enforced.",
        "Give user A the attribute custom:account_ids with PHASE5_PROBES__ACCOUNT_A alone.",
        not_tried=True,
    )
    CANARY_NOT_WRITTEN = FindingCode(
        Verdict.ERROR,
        "The canary intents could not be written, so nothing was sent.",
        "Grant dynamodb:BatchWriteItem on the intent table for the test tenants' keys.",
    )
    CANARY_NOT_REMOVED = FindingCode(
        Verdict.WARN,
        "Canary intents of this run or of a killed run, or items that their execution left, could not be found or removed.",
        "The next run removes them; grant the actions that `phase5 iam-policy` lists.",
    )
    PROBE_LEASE_NOT_RELEASED = FindingCode(
        Verdict.WARN,
        "The lease could not be given back, so no other run can probe until it expires.",
        "Grant dynamodb:DeleteItem on phase5's own table.",
    )


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that kept probes from being sent (or from being cleaned up): which code, about what, what was seen."""

    code: str
    subject: str
    expected: str
    seen: str

    def as_finding(self) -> Finding:
        """The finding of it."""
        return ProbingCode.named(self.code).at(self.subject, expected=self.expected, seen=self.seen)

    @classmethod
    def of_read(cls, code: FindingCode, read: Read, *, expected: str) -> "Obstacle":
        """A call that did not succeed; it is about the resource that was called."""
        return cls(code.code, read.resource, expected, f"{read.operation}: {read.status}: {read.error}")


class Obstructed(Exception):
    """Probes cannot be sent; carries why."""

    def __init__(self, code: FindingCode, subject: str, *, expected: str, seen: str) -> None:
        super().__init__(f"{code.code}: {subject}: {seen}")
        self.obstacle = Obstacle(code.code, subject, expected, seen)
