"""A document in which everything occurs that a format has to show: every verdict, a waiver, a closed release, hostile text."""

from typing import Any

from hypothesis import strategies as st

from phase5_ops.checklist import ALL_CHECKS, EXTRA_CHECKS, ROW_OF_ID, ROWS
from phase5_ops.evidence.result import EvidenceEntry, FindingEntry, RowEntry, identity
from phase5_ops.report.document import CandidateEntry, Judged, ReadinessDocument, Reading, SignOffEntry
from phase5_ops.report.formats import RenderContext
from phase5_ops.verdict import FindingCode, Verdict

DIGEST = f"sha256:{'0' * 64}"
NOW = "2026-11-23T12:00:00.000Z"
RUN, BEFORE = "6d04b7f3-74e2-4ff9-9a70-72ac4ea41f77", "2b57038c-920d-4a7a-ae48-335576d549d3"
RUNBOOK = "https://example.com/runbook.md"
HOSTILE = '<script>alert(1)</script> | "x" & ]]> \x1b[2J\n=cmd()\x00\ufffe' + "t" * 300

MEANINGS = {
    code.code: [code]
    for code in (
        FindingCode(Verdict.FAIL, "A tool has no alarm.", "Create the alarm.", code="alarm_missing"),
        FindingCode(Verdict.WARN, "A breaker is half open.", "Look at it again.", code="breaker_half_open"),
        FindingCode(Verdict.INCONCLUSIVE, "No replay in the window.", "Make one.", code="no_replay"),
        FindingCode(Verdict.ERROR, "A read failed.", "Grant the right.", code="read_failed"),
        FindingCode(Verdict.FAIL, "A role has not signed.", "Sign.", code="signature_missing"),
        FindingCode(Verdict.FAIL, "The deadline is over.", "Register it again.", code="deadline_over"),
    )
}


def finding(code: str, verdict: Verdict, subject: str, seen: str = "nothing", link: str | None = None) -> FindingEntry:
    return FindingEntry(code=code, verdict=verdict, subject=subject, expected="as the checklist says", seen=seen, link=link)


def entry(row: str, *found: FindingEntry, waived: bool = False, verdict: Verdict | None = None) -> RowEntry:
    worst = max((each.verdict for each in found), key=lambda each: each.severity, default=Verdict.PASS)
    return RowEntry(
        **identity(ROW_OF_ID[row]),
        verdict=verdict or worst,
        waived=waived,
        summary=f"{row} in figures",
        observed_at=NOW,
        findings=list(found),
        evidence=[EvidenceEntry(label="Runbook section", url=f"{RUNBOOK}#a"), EvidenceEntry(label="Table", url="file:///etc/x")],
    )


def document(*entries: RowEntry, blockers: list[str] | None = None, **changes: Any) -> ReadinessDocument:
    """A document in which every other row passes."""
    given = {each.id: each for each in entries}
    fields: dict[str, Any] = {
        "environment": "production",
        "release": None,
        "run_id": RUN,
        "evaluated_at": NOW,
        "decision": "BLOCKED" if blockers else "OPEN",
        "exit_code": 1 if blockers else 0,
        "evidence_digest": DIGEST,
        "policy_digest": DIGEST,
        "rows": [given.get(row.id) or entry(row.id) for row in ROWS],
        "extra_checks": [given.get(row.id) or entry(row.id) for row in EXTRA_CHECKS],
        "sign_offs": [SignOffEntry(role="eng-reliability", done=True, by="arn:aws:iam::1:user/ann", date=NOW)],
        "waivers": [],
        "blockers": blockers or [],
        "reading": Reading(calls={"dynamodb:Query": 7}, cost_usd=0.01, seconds={"whole run": 25.0, "slo_alarms_defined": 0.5}),
        "judged": Judged(account="123456789012", region="us-west-2", identity="arn:aws:iam::123456789012:role/gate"),
    }
    return ReadinessDocument(**(fields | changes))


WAIVER = {
    "id": "w-1",
    "row": "1.2",
    "pairs": [["alarm_missing", "crm.write"]],
    "reason": "migration",
    "ticket": "OPS-1",
    "issued_at": NOW,
    "until": "2026-11-30T12:00:00.000Z",
    "signed_by": "ops-sre",
    "by": "carol",
    "in_force": True,
    "why_not": None,
    "used": True,
    "unmatched": [],
    "releases_in_a_row": 1,
}


def closed() -> ReadinessDocument:
    """Every verdict, a waived row, a warning that closes and one that does not, and a release closed as a whole."""
    return document(
        entry("1.2", finding("alarm_missing", Verdict.FAIL, "crm.write", link="https://example.com/alarms"), waived=True),
        entry("2.1", finding("breaker_half_open", Verdict.WARN, "calendar")),
        entry("2.2", finding("breaker_half_open", Verdict.WARN, "crm")),
        entry("3.2", finding("no_replay", Verdict.INCONCLUSIVE, "tenant acme")),
        entry("4.2", finding("alarm_missing", Verdict.FAIL, HOSTILE, HOSTILE, link="javascript:alert(1)"), verdict=Verdict.FAIL),
        entry(
            "5.1", finding("read_failed", Verdict.ERROR, "table x"), finding("read_failed", Verdict.ERROR, "table x", "denied")
        ),
        entry("S.2", finding("signature_missing", Verdict.FAIL, "ops-sre")),
        blockers=[
            "2.2 WARN breaker_half_open crm: nothing",
            "3.2 INCONCLUSIVE no_replay tenant acme: nothing",
            f"4.2 FAIL alarm_missing {HOSTILE}: x",
            "5.1 ERROR read_failed table x: nothing",
            "S.2 UNSIGNED signature_missing ops-sre: nothing",
            "release BLOCKED deadline_over 2026.11.3: it was yesterday",
        ],
        release="2026.11.3",
        waivers=[WAIVER],
        candidate=CandidateEntry(
            digest=DIGEST,
            series=1,
            fate="PENDING",
            gate="BLOCKED",
            registered_at=NOW,
            deadline=NOW,
            url="https://example.com/runs/1",
        ),
        notices=["a notice"],
    )


def previous() -> ReadinessDocument:
    """The run before: 2.1 was as it is, 5.1 saw something else, and 1.1 had a finding that went away."""
    return document(
        entry("1.1", finding("alarm_missing", Verdict.FAIL, "mail.send")),
        entry("2.1", finding("breaker_half_open", Verdict.WARN, "calendar")),
        entry("5.1", finding("read_failed", Verdict.ERROR, "table x", "throttled")),
        blockers=["1.1 FAIL alarm_missing mail.send: nothing", "5.1 ERROR read_failed table x: throttled"],
        run_id=BEFORE,
    )


CONTEXT = RenderContext(meanings=MEANINGS, runbook=RUNBOOK, before=previous())

_texts = st.text(max_size=12) | st.sampled_from(
    ["", HOSTILE, "=1+1", "\r\n", "|", "`a`", "https://x/y?a=[b]", "javascript:1", "-"]
)
_codes = st.sampled_from([*MEANINGS, "unknown_code"])


@st.composite
def documents(draw: st.DrawFn) -> ReadinessDocument:
    """Small documents with any text in them."""
    entries = []
    for row in draw(st.lists(st.sampled_from([row.id for row in ALL_CHECKS]), max_size=3, unique=True)):
        found = [
            FindingEntry(
                code=draw(_codes),
                verdict=draw(st.sampled_from([each for each in Verdict if each is not Verdict.PASS])),
                subject=draw(_texts),
                expected=draw(_texts),
                seen=draw(_texts),
                link=draw(st.none() | _texts),
            )
            for _ in range(draw(st.integers(0, 2)))
        ]
        made = entry(row, *found, waived=draw(st.booleans()), verdict=draw(st.sampled_from(Verdict)))
        links = [EvidenceEntry(label=draw(_texts), url=draw(_texts))]
        entries.append(made.model_copy(update={"summary": draw(_texts), "evidence": links}))
    blockers = [f"{each.id} FAIL x" for each in entries if draw(st.booleans())] + draw(st.lists(_texts, max_size=1))
    return document(
        *entries,
        blockers=blockers,
        exit_code=draw(st.sampled_from([1, 2])) if blockers else draw(st.sampled_from([0, 1, 2])),
        environment=draw(_texts),
        release=draw(st.none() | _texts),
        run_id=draw(_texts | st.just(RUN)),
        notices=draw(st.lists(_texts, max_size=1)),
        waivers=draw(st.sampled_from([[], [{**WAIVER, "reason": HOSTILE, "by": HOSTILE}]])),
    )
