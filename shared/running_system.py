"""The system that `make run` runs in this checkout, as the commands of the services find it.

A command takes variables that its environment does not set from a file under `.run/`, which is there while
the system runs. In a container there is no such file, and the environment has all variables.
"""

import fcntl
import json
import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path

# Another folder for what is under `.run/`.
FOLDER_VARIABLE = "RUN_FOLDER"
LOCK, COMMANDS = ".lock", "commands.json"
_CHECKOUT = Path(__file__).parents[1]
# Variables that say which system a command is about. They are taken together or not at all: otherwise one
# system's accounts would be looked up with another one's secret.
_NAMES_A_SYSTEM = ("_URL", "_SECRET", "_SECRETS", "_KEY", "_KEYS_DIR", "_ACCOUNTS")


def run_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of the system that runs on this machine."""
    return Path(environment.get(FOLDER_VARIABLE) or _CHECKOUT / ".run")


def complete(service: str, environment: MutableMapping[str, str] = os.environ) -> str:
    """Set the variables of a service's commands that are not set to those of the running system.

    Returns:
        why that was not done, for the user, or an empty string.
    """
    folder = run_folder(environment)
    if not folder.is_dir():
        return ""
    try:
        return _complete(service, environment, folder)
    except PermissionError as error:
        return (
            f"the system that `make run` runs here belongs to another user: {error.filename} cannot be read"
        )


def _complete(service: str, environment: MutableMapping[str, str], folder: Path) -> str:
    running, file = _is_locked(folder / LOCK), folder / COMMANDS
    if not file.exists():
        return "the system that `make run` starts in this checkout is not ready yet" if running else ""
    if not running:
        return (
            "the system that `make run` ran in this checkout has ended: start it again, or set the variables"
            f" of another one ({file} is left from it)"
        )
    variables: dict[str, str] = json.loads(file.read_text()).get(service, {})
    other = [name for name in variables if _names_another(name, variables[name], environment)]
    if other:
        return (
            f"the system that `make run` runs here is left out, since {' and '.join(other)} names another one"
        )
    environment.update({name: value for name, value in variables.items() if not environment.get(name)})
    return ""


def _names_another(name: str, value: str, environment: Mapping[str, str]) -> bool:
    return name.endswith(_NAMES_A_SYSTEM) and environment.get(name, "") not in {"", value}


def _is_locked(path: Path) -> bool:
    """Return whether a run holds the lock file."""
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
