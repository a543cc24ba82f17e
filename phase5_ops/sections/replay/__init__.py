"""Checklist section 3: is every replay in the ledger complete, and does the replay API let in only whom it should."""
