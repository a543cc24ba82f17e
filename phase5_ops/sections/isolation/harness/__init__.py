"""Row 4.1: a real execution and cross-tenant probes touch no other tenant's data."""
