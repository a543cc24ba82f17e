"""Checklist section 4: tenant isolation, shown by a real execution and by the logs."""
