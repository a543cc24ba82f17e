"""Addresses of objects in S3, `s3://bucket/key`: told from paths, and taken apart."""

SCHEME = "s3://"


def is_s3(location: str) -> bool:
    """Whether a location is an address in S3 rather than a path."""
    return location.startswith(SCHEME)


def bucket_and_key(address: str) -> tuple[str, str]:
    """The bucket of an address, and its key or key prefix as it is written; "" where it names the bucket alone."""
    bucket, _, key = address.removeprefix(SCHEME).partition("/")
    return bucket, key
