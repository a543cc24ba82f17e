"""Fuzzing of everything that this project reads: `python -m phase5_ops_tests.fuzz`; see docs/fuzzing.md."""
