"""How AWS is read: bounded, counted calls, each saying how it ended."""
