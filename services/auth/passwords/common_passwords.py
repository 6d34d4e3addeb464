"""The common passwords that are refused (NIST SP 800-63B §3.1.1.2), from zxcvbn's list."""

import runpy
from importlib.util import find_spec
from pathlib import Path

_SHORTEST_ALLOWED = 8


def load_common_passwords() -> frozenset[str]:
    """Return those of the 30,000 most common passwords that are long enough, in lower case."""
    return frozenset(word for word in _frequency_list() if len(word) >= _SHORTEST_ALLOWED)


def _frequency_list() -> list[str]:
    """Return the library's list without importing the library, which would cost 12 MB of memory."""
    package = find_spec("zxcvbn")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("zxcvbn")
    namespace = runpy.run_path(str(Path(package.origin).with_name("frequency_lists.py")))
    passwords: list[str] = namespace["FREQUENCY_LISTS"]["passwords"]
    return passwords
