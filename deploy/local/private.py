"""Environments and folders that a program shares with no other one on this machine."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

# What servers and browsers need of the environment they are started in. The rest may name folders, ports,
# sockets or options of another installation.
INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME")
INHERITED_PREFIX = "LC_"
TEMPORARY_VARIABLES = ("TMPDIR", "TMP", "TEMP")
# The programs' own socket names, such as `/.org.chromium.Chromium.XXXXXX/SingletonSocket`, come on top, and a
# Unix socket's path has at most 107 bytes.
LONGEST_FOLDER = 50


def private_environment(folder: Path, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of a program all of whose temporary files, caches and settings are in `folder`.

    The folders that it names are created.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIX)
    }
    temporary = folder / "tmp"
    own = {
        "HOME": folder,
        "XDG_CACHE_HOME": folder / "cache",
        "XDG_CONFIG_HOME": folder / "config",
        "XDG_DATA_HOME": folder / "share",
        "XDG_STATE_HOME": folder / "state",
        "XDG_RUNTIME_DIR": temporary,
        **dict.fromkeys(TEMPORARY_VARIABLES, temporary),
    }
    for created in (folder, temporary):
        created.mkdir(mode=0o700, parents=True, exist_ok=True)
    return kept | {name: str(path) for name, path in own.items()}


@contextmanager
def short_folder(prefix: str) -> Iterator[Path]:
    """Return a new folder, removed afterwards, whose path leaves room for the names of Unix sockets."""
    parent = tempfile.gettempdir()
    if len(os.fsencode(parent)) + len(prefix) > LONGEST_FOLDER:
        parent = "/tmp"  # noqa: S108 - the folder in it is new, and its owner's alone
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    try:
        yield folder
    finally:
        # A browser's last process may still write while it ends.
        shutil.rmtree(folder, ignore_errors=True)
