"""Where heavy scans run when not in the run's own process: their partial results as they are kept, and Spark jobs."""
