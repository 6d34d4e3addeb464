"""The list of common passwords that are refused (NIST SP 800-63B §3.1.1.2), from zxcvbn."""

from importlib.machinery import SourceFileLoader
from importlib.resources import as_file, files
from importlib.util import module_from_spec, spec_from_loader

_SHORTEST_ALLOWED = 8


def load_common_passwords() -> frozenset[str]:
    """Return those of the 30,000 most common passwords that are long enough, in lower case."""
    return frozenset(word for word in _frequency_list() if len(word) >= _SHORTEST_ALLOWED)


def _frequency_list() -> list[str]:
    """Return the library's list without the library: importing that costs 12 MB for good."""
    with as_file(files("zxcvbn") / "frequency_lists.py") as path:
        loader = SourceFileLoader("frequency_lists", str(path))
        spec = spec_from_loader(loader.name, loader)
        if spec is None:
            raise ImportError(loader.name)
        module = module_from_spec(spec)
        loader.exec_module(module)
    passwords: list[str] = module.FREQUENCY_LISTS["passwords"]
    return passwords
