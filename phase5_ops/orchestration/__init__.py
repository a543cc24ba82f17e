"""Declared evidence and judges as Dagster assets and checks."""
