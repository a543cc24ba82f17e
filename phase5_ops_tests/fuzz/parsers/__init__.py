"""One module a parser: what it reads, what a malformed input must become, and `fuzz(data)`, which raises where it does not.

`fuzz` raises AssertionError where a malformed input passes or is not named, and whatever the product raises beside its documented
errors. With no bytes it tries the sound seed.
"""
