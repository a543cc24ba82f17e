"""What several sections need of the platform's tables: read once a run, and shared among its assets. Judges nothing."""
