"""Figures of speed and memory: `python -m benchmarks` measures all of them and writes docs/performance.md with its plots.

No figure is a bare time: each is a ratio to something else that is measured by turns with it, a growth over sizes, a count, or
memory. Every measurement is made in a process of its own; inputs come from seeded generators.

    python -m benchmarks --list
    python -m benchmarks                    # all figures; keeps results in benchmarks/results, writes docs/performance.md
    python -m benchmarks cost-report ...    # some of them
    python -m benchmarks --small            # each at its smallest size, kept nowhere: whether it runs at all
    python -m benchmarks --against TREE     # also with the phase5_ops of another checkout, by turns: before and after
    python -m benchmarks --write            # the page and the plots from the kept results, nothing measured

A single measurement should stay under a minute, and a figure under three: fewer rounds, or smaller sizes that show the same.

How a figure is added: a module in `benchmarks/figures/` that declares `FIGURES`, a tuple of `Figure`; it is found by itself.
The module imports nothing heavy on its top level, since every measuring process imports all of them: what a side needs, it
imports before it yields its work, so that imports are not measured with it. See `figure.py` for what a figure says, and
`figures/cost_report.py` for one.
"""
