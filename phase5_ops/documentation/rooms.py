"""The table of rooms (packages) in docs/architecture.md: each with its purpose, importing packages above imported ones."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path


def rooms_table(root: Path) -> str:
    """The rooms as Markdown: purposes from the packages' docstrings, the order from the layers in pyproject.toml below `root`."""
    contracts = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    layers = {
        contract["containers"][0].replace(".", "/"): contract["layers"] for contract in contracts if "containers" in contract
    }
    lines = ["| room | purpose |", "|---|---|"]
    lines += [f"| `{room.as_posix()}` | {_purpose(root / room)} |" for room in _rooms(root, Path("phase5_ops"), layers)]
    return "\n".join(lines)


def _rooms(root: Path, within: Path, layers: dict[str, list[str]]) -> Iterator[Path]:
    """The packages and modules of a package in the order of its layers; without layers, its packages by name."""
    ordered = [name.strip() for layer in layers.get(within.as_posix(), []) for name in layer.split("|")]
    names = ordered or sorted(each.parent.name for each in (root / within).glob("*/__init__.py"))
    for name in names:
        room = within / name
        if (root / room).is_dir():
            yield room
            yield from _rooms(root, room, layers)
        else:
            yield room.with_suffix(".py")


def _purpose(room: Path) -> str:
    text = (room / "__init__.py" if room.is_dir() else room).read_text(encoding="utf-8")
    return (ast.get_docstring(ast.parse(text)) or "").split("\n")[0].replace("|", "\\|")
