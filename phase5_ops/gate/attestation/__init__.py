"""Signed statements: how they are written, read and verified. Pure."""
