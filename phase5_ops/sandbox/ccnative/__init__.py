"""The embedded CCNative: what its functions do and write."""
