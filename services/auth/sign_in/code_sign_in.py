"""Signing in with a code, which makes an account where there is none."""

from dataclasses import replace
from datetime import datetime
from functools import partial

from services.auth.accounts.registration import add_user
from services.auth.audit.refusals import refusals_audited
from services.auth.db.transactions import atomically
from services.auth.errors import AlreadyRegistered, InvalidCode
from services.auth.models import Client, NewUser, SignedIn, User
from services.auth.ports import Codes, Journal, Sessions, Tokens, Users
from services.auth.sessions.rotation import SessionPolicy
from services.auth.sessions.session_opening import open_session
from shared.clock import Clock


async def sign_in_with_code(
    mobile: str,
    code: str,
    client: Client,
    *,
    creates_accounts: bool,
    codes: Codes,
    users: Users,
    sessions: Sessions,
    tokens: Tokens,
    journal: Journal,
    policy: SessionPolicy,
    clock: Clock,
) -> SignedIn:
    """Open a session for the owner of a number.

    The account is looked up before the code is looked at, so that a refusal takes the same steps
    whether or not there is one.

    Raises:
        InvalidCode: also for a disabled account, and for an unknown number where none may be made.
        Unavailable: a dependency is down; the code still works.
    """

    async def open_(known: User | None) -> SignedIn:
        now = clock()
        user = await _owner(mobile, known, client, now, users=users, journal=journal)
        opened = await open_session(
            user, client, now, method="code", sessions=sessions, tokens=tokens, journal=journal, policy=policy
        )
        return replace(opened, created=known is None)

    known = await users.find_by_mobile(mobile)
    async with (
        refusals_audited("login_code", mobile, client, journal=journal, clock=clock),
        codes.consuming(mobile, "login", code, client.ip),
    ):
        if known is None and not creates_accounts:
            raise InvalidCode
        try:
            return await atomically(journal.transaction, partial(open_, known))
        except AlreadyRegistered:  # a moment ago, by another request
            winner = await users.find_by_mobile(mobile)
            return await atomically(journal.transaction, partial(open_, winner))


async def _owner(
    mobile: str, known: User | None, client: Client, now: datetime, *, users: Users, journal: Journal
) -> User:
    """Return the number's account, locked, and made where there was none."""
    if known is None:
        new = NewUser(mobile, None, None, None, now)
        user_id = await add_user(new, client, method="code", users=users, journal=journal)
    else:
        user_id = known.id
    user = await users.lock(user_id)
    if user is None or user.mobile != mobile or not user.enabled:
        raise InvalidCode
    return user
