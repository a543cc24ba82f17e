"""The documents that are generated from what the code declares."""
