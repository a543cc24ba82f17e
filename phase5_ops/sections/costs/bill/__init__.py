"""Row 5.2: the cost report of every tenant, from the bill."""
