"""Run a program that dies with its parent: `python launch.py PARENT_PID PROGRAM [ARGUMENT…]`.

A program of its own, since Python code between fork and exec may hang in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process, and what it executes, as soon as `parent` is gone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it went before the kernel knew
        sys.exit(1)


def main(parent: str, *command: str) -> None:
    """Become `command`, tied to the process `parent`."""
    die_with_parent(int(parent))
    # Python ignores these, and an ignored signal would stay so in the program.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main(*sys.argv[1:])
