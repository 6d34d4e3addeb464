"""Counting what Python does: the same on every machine, unlike time."""

import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any

# What one request may make the event loop do before it answers another one. CPython runs some 50 million
# instructions a second on a slow machine, so that this takes 10 ms.
MAX_INSTRUCTIONS = 500_000


def instructions(function: Callable[..., object], *arguments: object) -> int:
    """Return how many instructions a call takes, whatever it raises; those of C code are not counted."""
    count = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(Exception):
            function(*arguments)
    finally:
        sys.settrace(before)
    return count
