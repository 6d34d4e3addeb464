"""Refused proofs of ownership in the audit trail: wrong passwords and codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.auth.db.transactions import atomically
from services.auth.errors import InvalidCode, WrongCredentials, WrongPassword
from services.auth.models import AuditEntry, Client
from services.auth.ports import Journal
from shared.clock import Clock


@asynccontextmanager
async def refusals_audited(
    tried: str, mobile: str, client: Client, *, journal: Journal, clock: Clock
) -> AsyncIterator[None]:
    """Write an entry where the block refuses a password or a code, whether or not there is an account.

    Args:
        tried: what it would have opened: an endpoint's purpose.
        mobile: the number that it was tried for.
        client: who has tried.
        journal: where the entry goes.
        clock: tells when.
    """
    try:
        yield
    except (InvalidCode, WrongCredentials, WrongPassword):
        entry = AuditEntry("proof.refused", clock(), client, None, mobile, {"for": tried}, repeats=True)
        await atomically(journal.transaction, lambda: journal.audit.record(entry))
        raise
