"""The stable entry of the code location: `build_defs()` and nothing else."""

from phase5_ops.build import build_defs

defs = build_defs()
