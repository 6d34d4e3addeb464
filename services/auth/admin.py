"""What an operator may look at and change in an account."""

from services.auth.database import Database
from services.auth.domain import User
from services.auth.settings import MysqlSettings
from services.auth.users import MysqlUsers
from shared.message_status import now
from shared.phone import mask_mobile


async def show(settings: MysqlSettings, mobile: str) -> dict[str, str] | None:
    """Return an account's public facts, or None where the number has none."""
    database = Database(settings.mysql_url.get_secret_value(), pool_size=1)
    try:
        user = await MysqlUsers(database).find_by_mobile(mobile)
    finally:
        await database.close()
    return None if user is None else _facts(user)


async def set_disabled(settings: MysqlSettings, mobile: str, *, disabled: bool) -> dict[str, str] | None:
    """Disable or enable an account and return its facts, or None where the number has none."""
    database = Database(settings.mysql_url.get_secret_value(), pool_size=1)
    try:
        users = MysqlUsers(database)
        user = await users.find_by_mobile(mobile)
        if user is None:
            return None
        await users.set_disabled(user.id, now() if disabled else None)
        changed = await users.find_by_id(user.id)
    finally:
        await database.close()
    return None if changed is None else _facts(changed)


def _facts(user: User) -> dict[str, str]:
    return {
        "id": str(user.id),
        "mobile": mask_mobile(user.mobile),
        "nickname": user.nickname or "-",
        "created": user.created_at.isoformat(timespec="seconds"),
        "disabled": user.disabled_at.isoformat(timespec="seconds") if user.disabled_at else "no",
    }
