"""`python -m phase5_ops.documentation` writes every document that is made from code."""

from pathlib import Path

import phase5_ops
from phase5_ops.documentation.write import write_all

if __name__ == "__main__":
    write_all(Path(phase5_ops.__file__).parent.parent)
