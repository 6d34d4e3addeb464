"""What the image leaves out is used by nothing; `tests/containers` tries the image itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
REMOVED = re.search(r"&& rm -r (.+?) \\\n", DOCKERFILE)


def imports(folder: str) -> Iterator[str]:
    """Yield the name of every module that a folder's files import."""
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module


def test_files_of_swagger_ui_that_the_gateway_serves_are_kept() -> None:
    served = re.findall(r'_SWAGGER / "([^"]+)"', (ROOT / "services" / "gateway" / "static.py").read_text())
    (command,) = re.findall(r"find swagger_ui_bundle/vendor .+?-delete", DOCKERFILE, flags=re.DOTALL)
    assert served
    assert set(re.findall(r"! -name (\S+)", command)) == set(served)


@pytest.mark.parametrize("folder", ["services", "shared"])
def test_nothing_imports_what_is_removed(folder: str) -> None:
    assert REMOVED is not None
    removed = {name.replace("/", ".") for name in REMOVED[1].split()}
    assert {"jinja2", "phonenumbers.geodata"} <= removed
    used = {name for name in imports(folder) if any(f"{name}.".startswith(f"{each}.") for each in removed)}
    assert used == set()
