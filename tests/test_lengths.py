"""Limits for the lengths of functions and files."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("benchmarks", "deploy", "services", "shared", "tests")
LONGEST_FILE, LONGEST_FUNCTION = 300, 40
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


def test_no_file_and_no_function_is_too_long() -> None:
    files = {str(path.relative_to(ROOT)): path for path in FILES}
    assert [name for name, path in files.items() if len(path.read_text().splitlines()) > LONGEST_FILE] == []
    too_long = [
        f"{name}: {function.name}"
        for name, path in files.items()
        for function in functions(path)
        if length(function) > LONGEST_FUNCTION
    ]
    assert too_long == []
