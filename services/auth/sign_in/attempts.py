"""Attempts with a password, at sign-in and wherever else one is asked for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.auth.models import Client
from services.auth.sign_in.throttle import SignInThrottle
from services.auth.unit_of_work import UnitOfWork


class PasswordAttempts:
    """Throttles and audits the checks of passwords.

    Args:
        uow: writes the audit entries.
        throttle: charges attempts, and makes the next one wait.
    """

    def __init__(self, uow: UnitOfWork, throttle: SignInThrottle) -> None:
        self._uow = uow
        self._throttle = throttle

    @asynccontextmanager
    async def attempt(self, purpose: str, mobile: str, client: Client) -> AsyncIterator[None]:
        """Run the block, which checks a password, as an attempt; see `SignInThrottle.attempt`.

        Args:
            purpose: what the password was presented for.
            mobile: the number of the account, whether or not there is one.
            client: who presented it.

        Raises:
            TooManyAttempts: on entering; later for a host that goes on at once after refusals.
            Unavailable: on entering, or a failure could not be audited; it has been charged.
        """
        # The failure is charged before it is audited, also if that takes too long.
        async with (
            self._throttle.slowed_refusals(client.ip),
            self._uow.audit_failures(purpose, mobile, client),
            self._throttle.attempt(mobile, client.ip),
        ):
            yield
