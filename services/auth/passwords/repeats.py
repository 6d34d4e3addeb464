"""Whether a request is the repetition of one whose answer its client has lost."""

from services.auth.accounts.repository import UserRepository
from services.auth.errors import InvalidCode
from services.auth.models import User
from services.auth.passwords.hasher import PasswordHasher


async def find_repeated(
    users: UserRepository, hasher: PasswordHasher, user_id: str, mobile: str, password: str
) -> User:
    """Return the account whose password the first request has set.

    Args:
        users: the accounts.
        hasher: verifies the password.
        user_id: the account of the first request, which its code has kept.
        mobile: the number of this one.
        password: that of this one.

    Raises:
        InvalidCode: it is another request, or the account is gone, disabled or changed.
    """
    user = await users.find_by_mobile(mobile)
    if user is None or str(user.id) != user_id or not user.enabled:
        raise InvalidCode
    if not await hasher.verify(password, user.password_hash):
        raise InvalidCode
    return user
