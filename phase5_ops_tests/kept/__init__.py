"""What earlier versions wrote, kept as they wrote it: evidence, attestations and the items of the state table.

Nothing here may be made again to let a test pass. `make.py` made the archives; a version that writes something new adds its own
beside those of earlier ones.
"""
