"""The house: what its layout promises. Layers and purity are held by import-linter."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import phase5_ops
from phase5_ops_tests.places import ROOT

PACKAGE = ROOT / phase5_ops.__name__


@cache
def modules() -> dict[Path, ast.Module]:
    """The syntax tree of every file of the package."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py")}


def test_the_root_reads_like_a_table_of_contents():
    assert len([path for path in modules() if path.parent == PACKAGE and path.name != "__init__.py"]) <= 12


def test_no_folder_has_many_more_than_twenty_files():
    files = defaultdict(int)
    for path in modules():
        files[path.parent] += path.name != "__init__.py"
    assert not {str(folder): number for folder, number in files.items() if number > 23}


def test_no_class_has_the_name_of_another():
    homes = defaultdict(list)
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(str(path.relative_to(PACKAGE)))
    assert not {name: found for name, found in homes.items() if len(found) > 1}


def test_every_module_says_what_it_is():
    assert not [str(path) for path, tree in modules().items() if not ast.get_docstring(tree)]
