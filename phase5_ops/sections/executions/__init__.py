"""Every execution ends, and every call of a tool is measured: what ledger, attempts, outcomes and metrics say of the same."""
