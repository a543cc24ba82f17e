"""Names alone: of the jobs, of the assets that follow the evidence, and of the tags that a run carries in Dagster's records."""

#: The only job whose results count at the gate.
READINESS_JOB = "readiness_job"
SIGN_OFF_JOB = "sign_off_job"
PROMOTION_JOB = "promotion_job"

#: From the evidence to production: what a readiness run came to, who signed, what was promoted.
READINESS_ASSET = "readiness"
SIGN_OFF_ASSET = "sign_offs"
PROMOTION_ASSET = "promotion"

#: Set by whoever asks for the run.
RELEASE_TAG = "phase5/release"
DIGEST_TAG = "phase5/release_digest"
SERIES_TAG = "phase5/series"
ATTEMPT_TAG = "phase5/attempt"
OVERRIDE_TAG = "phase5/override"

#: Set by the run itself.
ENVIRONMENT_TAG = "phase5/environment"
EVIDENCE_TAG = "phase5/evidence_digest"
FIXED_NOW_TAG = "phase5/fixed_now"
POLICY_TAG = "phase5/policy_digest"
AWS_CALLS_TAG = "phase5/aws_calls"
LIST_PRICE_TAG = "phase5/aws_list_price_usd"
DECISION_TAG = "phase5/decision"
VERDICTS_TAG = "phase5/verdicts"
