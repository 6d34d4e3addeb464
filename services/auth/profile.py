"""A user's own account."""

from services.auth.domain import User
from services.auth.ports import Tokens, Users
from shared.errors import Unauthorized


async def current_user(token: str | None, *, tokens: Tokens, users: Users) -> User:
    """Return the account that an access token stands for.

    Raises:
        Unauthorized: no token, a bad one, or its account is gone or disabled.
        Unavailable: the database is down.
    """
    if not token:
        raise Unauthorized(token_given=False)
    user = await users.find_by_id(tokens.verify(token).user_id)
    if user is None or not user.enabled:
        raise Unauthorized(token_given=True)
    return user
