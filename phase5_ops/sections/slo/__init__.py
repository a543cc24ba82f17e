"""Checklist section 1: tool SLO metrics, alarms and their runbook."""
