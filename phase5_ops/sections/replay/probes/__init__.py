"""Rows 3.1 and 3.3: probes of the replay API, and what it answers to whom."""
