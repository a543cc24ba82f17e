"""The gate in Dagster: sensors, jobs, assets and checks."""
