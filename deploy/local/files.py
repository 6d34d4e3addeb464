"""Small files under `.run/`: secrets that only their owner reads, and the lock of the checkout."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(draft).replace(path)


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the file's text; the first call makes it."""
    if not path.exists():
        write_private(path, make())
    return path.read_text()


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold the lock of this checkout, or say who holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            message = f"already running in this checkout (pid {holder}): stop it first"
            raise LocalError(message) from error
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
