"""Seeded generators of input that several figures, or a figure and a test, use."""
