"""What a measuring process does: prepares the input of a figure, or measures one side of it once; see `rounds.py`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.figure import Missing, all_figures
from benchmarks.measuring import measure

PREPARE = ""  #: in place of a side: prepare


def main(name: str, side: str, size: str, folder: str, answer: str) -> None:
    """Writes what was measured, or what was missing, into the file `answer`, as JSON."""
    figure = all_figures()[name]
    said: dict[str, object] = {}
    try:
        if side == PREPARE:
            figure.prepare(int(size), Path(folder))
        else:
            with figure.side(side).begin(int(size), Path(folder)) as work:
                said = asdict(measure(work))
    except Missing as missing:
        said = {"missing": str(missing)}
    Path(answer).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
