"""Files under `.run/`: secrets with restricted permissions, and the checkout's lock."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    Path(temporary).replace(path)


def read_or_create(path: Path, make: Callable[[], str]) -> str:
    """Return the file's text, created by the first call."""
    if not path.exists():
        write_private(path, make())
    return path.read_text()


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold the lock file of this checkout.

    Raises:
        LocalError: another process holds it.
    """
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
