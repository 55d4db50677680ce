"""The caps on size: no file, function or class that nobody can live in."""

import ast
from pathlib import Path
from statistics import median

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "src").rglob("*.py"))
FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def functions():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, FUNCTION):
                yield node.end_lineno - node.lineno + 1, f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_over_500_lines(path):
    assert len(path.read_text().splitlines()) <= 500


def test_no_function_is_over_80_lines_and_the_median_is_about_ten():
    sizes = sorted(functions())
    assert not [place for lines, place in sizes if lines > 80]
    assert median(lines for lines, _ in sizes) <= 11


def test_no_class_has_more_than_15_fields():
    crowded = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                fields = [line for line in node.body if isinstance(line, ast.AnnAssign)]
                crowded += [f"{path.name}: {node.name}"] * (len(fields) > 15)
    assert not crowded


def test_every_public_function_of_a_module_says_what_it_does():
    bare = []
    for path in FILES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, FUNCTION) and not node.name.startswith("_") and not ast.get_docstring(node):
                bare.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert not bare


def test_no_name_is_a_drawer_for_anything():
    forbidden = {"utils", "helpers", "common", "manager", "misc"}
    assert not [path for path in FILES if path.stem in forbidden or path.stem.startswith("base_")]
