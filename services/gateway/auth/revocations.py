"""The sessions whose access tokens are refused although they are valid, kept up with twice a second.

The auth service reads them from MySQL; Redis has no part in it. Each look takes what has ended within the
last half minute, so that an entry that became visible late is seen by one of the next looks; at the
start, after a gap, and every ten minutes it takes everything.
"""

import asyncio
import time

import structlog
from pydantic import BaseModel, ValidationError

from services.gateway.upstream.client import ask
from services.gateway.upstream.pool import Upstream
from shared.errors import AppError, BadGateway, Unavailable
from shared.observability.metrics import AccessMetrics

_ALL, _RECENT = "/internal/ended-sessions/", "/internal/ended-sessions/recent/"
_LOOK_SECONDS = 0.5
_ASK_SECONDS = 1.0
# Half of what a regular look reaches back.
_GAP_SECONDS = 15.0
_EVERYTHING_SECONDS = 600.0
# A token is accepted for a moment after its end.
_MARGIN_SECONDS = 60
_FOUND = 200

log = structlog.get_logger()


class _Answer(BaseModel):
    ended: dict[str, int]


class EndedSessions:
    """The list, and whether it may be relied on.

    Args:
        upstream: the auth service.
        max_age: seconds that the list is relied on while the auth service cannot be reached. After
            that, and before the first list has come, nobody knows what has ended: closed.
        metrics: shows the list's age and size.
    """

    def __init__(self, upstream: Upstream, max_age: float, metrics: AccessMetrics) -> None:
        self._upstream = upstream
        self._max_age = max_age
        self._metrics = metrics
        self._now = asyncio.get_running_loop().time
        self._complete_at = float("-inf")
        self._confirmed_at = float("-inf")
        self.sessions: dict[str, int] = {}
        self.reliable_until = float("-inf")
        metrics.ended_age.set_function(self.age)

    def age(self) -> float:
        """Return the seconds since the list was right."""
        return self._now() - self._confirmed_at

    @property
    def loaded(self) -> bool:
        """Whether a list has come since the start."""
        return self._complete_at > float("-inf")

    async def check(self) -> None:
        """Health check: raises `Unavailable` where the list may not be relied on."""
        if self._now() > self.reliable_until:
            raise Unavailable

    async def keep_up(self) -> None:
        """Look for ever."""
        due = self._now()
        failing = False
        while True:
            try:
                await self.look()
            except AppError as error:
                self._metrics.ended_failures.inc()
                if not failing:
                    log.warning("ended_sessions_unknown", problem=error.slug)
                failing = True
            else:
                if failing:
                    log.info("ended_sessions_known_again")
                failing = False
            due = max(due + _LOOK_SECONDS, self._now())
            await asyncio.sleep(due - self._now())

    async def look(self) -> None:
        """Bring the list up to date.

        Raises:
            AppError: it could not be had; what is known stays in force.
        """
        began = self._now()
        everything = began - self._complete_at > _EVERYTHING_SECONDS or self.age() > _GAP_SECONDS
        ended = await self._ask(_ALL if everything else _RECENT)
        if everything:
            # What is known stays: the answer may be a moment older than what another replica told before.
            oldest = time.time() - _MARGIN_SECONDS
            self.sessions = {one: until for one, until in self.sessions.items() if until > oldest}
            self._complete_at = began
        self.sessions.update(ended)
        self._confirmed_at = began
        self.reliable_until = began + self._max_age
        self._metrics.ended_sessions.set(len(self.sessions))

    async def _ask(self, path: str) -> dict[str, int]:
        # Rather another try, on another connection, than a long wait.
        status, document = await ask(self._upstream, "GET", path, seconds=_ASK_SECONDS)
        if status != _FOUND:
            raise Unavailable
        try:
            return _Answer.model_validate(document).ended
        except ValidationError as error:
            raise BadGateway from error
