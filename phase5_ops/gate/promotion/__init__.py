"""The promotion of a release candidate: its order, its publication at a target, and its record."""
