"""changes_are_audited: every change of what the platform may do alone has its ledger entry, with who and why."""
