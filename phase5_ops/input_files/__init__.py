"""Files that people hand over: what they are, how they are unpacked and read, and what could not be read."""
