"""Row 1.3: the alarm runbook exists, and every SLO alarm points to its section."""
