"""The ended sessions, whose access tokens are refused although they have not expired.

The list is in memory and updated from the auth service, which reads it from MySQL, twice a second.
Each update fetches the sessions that ended within the last half minute, so that an entry that became
visible late is part of a later update. At the start, after a gap, and every ten minutes the whole list
is fetched. While the database hangs, auth answers 503 with the sessions that it knows to have ended a moment
before: they are refused, too, but the list does not become more recent by that.
"""

import asyncio
import time
from contextlib import suppress

from pydantic import BaseModel, ValidationError

from services.gateway.upstream.client import UpstreamClient
from shared.errors import AppError, BadGateway, Unavailable
from shared.observability.failure_log import FailureLog
from shared.observability.metrics import TokenMetrics

_ALL_PATH, _RECENT_PATH = "/internal/ended-sessions/", "/internal/ended-sessions/recent/"
_UPDATE_INTERVAL = 0.5
# Short: another attempt, on another connection, is better than a long wait.
_REQUEST_TIMEOUT = 1.0
# Half of the time that _RECENT_PATH covers.
_MAX_GAP = 15.0
_FULL_UPDATE_INTERVAL = 600.0
# Auth's replicas may differ by this in when the last token of a session expires.
_EXPIRY_MARGIN = 300
_OK = 200


class _Document(BaseModel):
    """The auth service's answer: when the last token of each ended session expires, by session id."""

    ended: dict[str, int]


class Revocations:
    """The list of ended sessions, and until when it can be trusted.

    Args:
        client: of the auth service.
        max_age: seconds that the list is trusted while the auth service cannot be reached. After
            that, and before the first update, no token can be accepted.
        metrics: shows the list's age and size.

    Attributes:
        sessions: when the last token of each ended session expires, in seconds since 1970, by
            session id.
        trusted_until: end of the list's validity, by the event loop's clock.
    """

    def __init__(self, client: UpstreamClient, max_age: float, metrics: TokenMetrics) -> None:
        self._client = client
        self._max_age = max_age
        self._metrics = metrics
        self._now = asyncio.get_running_loop().time
        self._full_update_at = float("-inf")
        self._updated_at = float("-inf")
        self.sessions: dict[str, int] = {}
        self.trusted_until = float("-inf")
        metrics.revocations_age.set_function(self.age)

    def age(self) -> float:
        """Return the seconds since the last successful update."""
        return self._now() - self._updated_at

    @property
    def loaded(self) -> bool:
        """Whether the whole list has been fetched since the start."""
        return self._full_update_at > float("-inf")

    async def check(self) -> None:
        """Health check: raises `Unavailable` while the list is too old to be trusted."""
        if self._now() > self.trusted_until:
            raise Unavailable

    async def update_forever(self) -> None:
        """Update the list at regular intervals until cancelled."""
        due = self._now()
        failures = FailureLog("ended_sessions_unknown", "ended_sessions_known_again")
        while True:
            try:
                await self.update()
            except AppError as error:
                self._metrics.revocations_failures.inc()
                failures.failed(problem=error.slug)
            else:
                failures.succeeded()
            due = max(due + _UPDATE_INTERVAL, self._now())
            await asyncio.sleep(due - self._now())

    async def update(self) -> None:
        """Fetch what is new, or the whole list.

        Raises:
            AppError: the request failed; the list stays as it is.
        """
        now = self._now()
        full = now - self._full_update_at > _FULL_UPDATE_INTERVAL or self.age() > _MAX_GAP
        ended = await self._fetch(_ALL_PATH if full else _RECENT_PATH)
        if full:
            # Entries are kept until they expire: this response may be from a replica that is behind.
            oldest = time.time() - _EXPIRY_MARGIN
            self.sessions = {one: expires for one, expires in self.sessions.items() if expires > oldest}
            self._full_update_at = now
        self.sessions.update(ended)
        self._updated_at = now
        self.trusted_until = now + self._max_age
        self._metrics.revocations.set(len(self.sessions))

    async def _fetch(self, path: str) -> dict[str, int]:
        status, document = await self._client.request("GET", path, seconds=_REQUEST_TIMEOUT)
        if status != _OK:
            self._add_announced(document)
            raise Unavailable
        try:
            return _Document.model_validate(document).ended
        except ValidationError as error:
            raise BadGateway from error

    def _add_announced(self, document: object) -> None:
        """Add what auth has heard of while its database does not answer; the list is still not complete."""
        with suppress(ValidationError):  # an older version, or another problem
            self.sessions.update(_Document.model_validate(document).ended)
            self._metrics.revocations.set(len(self.sessions))
