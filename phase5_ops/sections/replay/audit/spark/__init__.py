"""Row 3.2's audit of exports by a Spark job: its order, its result, and the asset that has it made."""
