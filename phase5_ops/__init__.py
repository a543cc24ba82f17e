"""Operational readiness of CCNative Phase 5 as a Dagster code location."""
