"""Row 4.2: no tenant's id stands in the log lines of another."""
