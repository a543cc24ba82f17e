"""The embedded AWS: moto, corrected where it lies."""
