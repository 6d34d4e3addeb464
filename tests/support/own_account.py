"""One's own account over fakes."""

from services.auth.accounts.deletion import delete_account
from services.auth.accounts.mobile_change import change_mobile
from services.auth.accounts.profile import change_profile
from services.auth.models import Caller, ProfileMember, User
from services.auth.passwords.password_change import change_password
from services.auth.passwords.password_reset import reset_password
from tests.support.desk import CLIENT, MOBILE, PASSWORD, Desk

NEW_MOBILE = "13900000001"
NEW_PASSWORD = "battery staple"


class Account(Desk):
    """A desk where one user is signed in, twice."""

    async def open(self) -> None:
        self.current, self.other = await self.sign_in(), await self.sign_in()
        self.caller = Caller(self.users.rows[0], self.current.session_id)
        self.records.events.clear()
        self.records.entries.clear()

    async def change_profile(self, **changes: str | None) -> User:
        named: dict[ProfileMember, str | None] = {**changes}  # type: ignore[dict-item]
        return await change_profile(
            self.caller, named, CLIENT,
            users=self.users, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def change_mobile(self, mobile: str = NEW_MOBILE, code: str = "123456") -> None:
        await change_mobile(
            self.caller, mobile, code, CLIENT,
            codes=self.codes, users=self.users, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def reset(self, password: str = NEW_PASSWORD, code: str = "123456", mobile: str = MOBILE) -> None:
        await reset_password(
            mobile, code, password, CLIENT, codes=self.codes, passwords=self.passwords, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def change_password(self, old: str = PASSWORD, password: str = NEW_PASSWORD) -> None:
        await change_password(
            self.caller, old, password, CLIENT, guard=self.guard, passwords=self.passwords, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip

    async def delete(self, code: str = "123456") -> None:
        await delete_account(
            self.caller, code, CLIENT, codes=self.codes, users=self.users,
            sessions=self.sessions, journal=self.records.journal, clock=lambda: self.now,
        )  # fmt: skip
