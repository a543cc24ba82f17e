"""Objects in S3 that hold what people hand over."""
