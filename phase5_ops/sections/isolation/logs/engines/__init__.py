"""Row 4.2's scan on other engines: hours of log groups by Dagster's partitions, archives by a Spark job."""
