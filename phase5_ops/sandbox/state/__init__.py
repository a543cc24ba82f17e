"""What a sandbox holds when it begins, as plain data."""
