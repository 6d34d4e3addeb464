"""Files and functions stay short enough to be read at once."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("benchmarks", "deploy", "services", "shared", "tests")
LONGEST_FILE, LONGEST_FUNCTION = 250, 40
FILES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if path.parent.name != "migrations"  # they are SQL
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Return the number of lines of a function without its docstring."""
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if documented else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_and_no_function_is_too_long(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    too_long = {one.name: length(one) for one in functions(path) if length(one) > LONGEST_FUNCTION}
    assert too_long == {}


def test_most_files_and_functions_are_short() -> None:
    product = [path for path in FILES if path.relative_to(ROOT).parts[0] in {"services", "shared"}]
    lengths = [length(function) for path in product for function in functions(path)]
    assert statistics.median(len(path.read_text().splitlines()) for path in product) <= 90
    assert statistics.median(lengths) <= 8
    assert statistics.quantiles(lengths, n=10)[-1] <= 20
