"""What runs inside a Spark job: the pure scans of the sections, a file a task. Knows dagster-pipes, not Dagster."""
