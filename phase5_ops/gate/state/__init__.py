"""The state table: its items, conditional writes, and its installation."""
