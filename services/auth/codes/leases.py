"""The leases by which codes are used, and how they are ended: at once, or as soon as Redis answers again."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from shared.errors import Unavailable
from shared.tasks import contain

# More than a request may take (`http.deadline`), with the time that a commit in progress gets.
LEASE_MS = 10_000
# How long a use whose answer was lost can be repeated.
REPEAT_MS = 60_000
# Requests with one code that come within this time of each other are concurrent: one of them wins.
RIVAL_MS = 1000
# How long a repetition is held back, to see whether it comes alone.
REPEAT_PAUSE_MS = 500
# Of the hash of a code: those of attempts that were given up do not fill the memory.
MAX_FIELDS = 256

_PAUSE_SECONDS = 0.25
# Longer than a lease: beyond it, there is nothing left to end. Commands that Redis had received when it hung
# are carried out when it goes on, and then a lease begins.
_TRIED_SECONDS = 120.0
_MAX_PENDING = 10_000

log = structlog.get_logger()

Ending = Callable[[], Awaitable[None]]


class CodeInUse(Exception):
    """The code is right, and another attempt is using it, with an outcome that is not known yet.

    Attributes:
        rival: whether the two attempts are concurrent.
    """

    def __init__(self, *, rival: bool) -> None:
        super().__init__()
        self.rival = rival


class RepetitionPending(Exception):
    """The code is right, and was used a short time ago: the attempt may ask again after a pause."""


class LeaseEndings:
    """Confirms uses of codes, or gives codes back, with the patience that a request has not.

    What cannot be done at once is done in the background, in order, until Redis has answered. If the process
    ends before, the lease runs out.
    """

    def __init__(self) -> None:
        self._pending: deque[tuple[float, Ending]] = deque(maxlen=_MAX_PENDING)
        self._runner: asyncio.Task[None] | None = None

    async def settle(self, ending: Ending) -> None:
        """End a lease now, or later if Redis fails, which is no error of the request."""
        try:
            await ending()
        except Unavailable:
            self.settle_later(ending)
        except asyncio.CancelledError:  # the time limit of the request
            self.settle_later(ending)
            raise

    def settle_later(self, ending: Ending) -> None:
        """End a lease as soon as Redis answers."""
        self._pending.append((time.monotonic() + _TRIED_SECONDS, ending))
        if self._runner is None or self._runner.done():
            self._runner = asyncio.create_task(contain("code_leases", self._run))

    async def close(self, seconds: float = 1.0) -> None:
        """Give the endings that are left a last chance."""
        if self._runner is not None:
            done, _ = await asyncio.wait([self._runner], timeout=seconds)
            if not done:
                self._runner.cancel()

    async def _run(self) -> None:
        while self._pending:
            tried_until, ending = self._pending[0]
            try:
                await ending()
            except Unavailable:
                if time.monotonic() < tried_until:
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                log.warning("code_not_given_back")
            except Exception:
                log.exception("code_not_given_back")
            if self._pending and self._pending[0][1] is ending:  # else dropped, because there are too many
                self._pending.popleft()
