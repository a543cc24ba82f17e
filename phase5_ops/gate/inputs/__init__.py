"""What the gate decides from, read from Dagster, the state table and the platform."""
