"""The embedded AWS: moto, corrected where it does not behave as AWS does."""
