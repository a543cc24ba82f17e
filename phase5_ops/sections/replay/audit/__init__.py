"""Row 3.2: every replay in the ledger is complete."""
