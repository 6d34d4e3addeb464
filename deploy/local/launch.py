"""Run a program that is killed with its parent: `python launch.py PARENT_PID PROGRAM [ARGUMENT…]`.

A separate program, because Python code between fork and exec can hang in a process with threads.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process, also after exec, when `parent` ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before prctl
        sys.exit(1)


def main(parent: str, *command: str) -> None:
    """Execute `command`, tied to the process `parent`."""
    die_with_parent(int(parent))
    # Python ignores these signals, and exec would keep them ignored.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.execvp(command[0], command)  # noqa: S606 - without a shell on purpose


if __name__ == "__main__":
    main(*sys.argv[1:])
