"""Who makes a request."""

from services.auth.models import Caller, User
from services.auth.ports import Tokens, Users
from shared.errors import Unauthorized


async def identify(token: str | None, *, tokens: Tokens, users: Users) -> Caller:
    """Return who an access token stands for.

    Gateways have checked the token; here, in one read, its session too, so that an ended one is
    refused at once.

    Raises:
        Unauthorized: no token, a bad one, or its session or account is gone or disabled.
        Unavailable: the database is down.
    """
    if not token:
        raise Unauthorized(token_given=False)
    verified = tokens.verify(token)
    user = await users.find_by_session(verified.user_id, verified.session_id)
    if user is None or not user.enabled:
        raise Unauthorized(token_given=True)
    return Caller(user, verified.session_id)


async def locked(caller: Caller, users: Users) -> User:
    """Return the caller's account, which nobody else changes until the transaction is over.

    Raises:
        Unauthorized: since the caller was identified, the session has ended, or the account is gone or
            disabled.
    """
    user = await users.lock(caller.user.id)
    # Looked at again behind the lock: what ends sessions, such as a new password, has held it.
    if user is None or await users.find_by_session(user.id, caller.session_id) is None or not user.enabled:
        raise Unauthorized(token_given=True)
    return user
