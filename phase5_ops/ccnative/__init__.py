"""What the platform stores and emits: names, keys, records, the runbook. Pure: no AWS calls, no Dagster."""
