"""The bodies of requests and answers about one's own account."""

from typing import Self

from pydantic import BaseModel, Field

from services.auth.http.schemas import Avatar, Mobile, NewPassword, Nickname, Request, Text_, Timestamp
from services.auth.models import ProfileMember, User


class ProfileRequest(Request):
    """`PATCH /me/`; what is missing stays, null takes away."""

    nickname: Nickname | None = None
    avatar: Avatar | None = None

    @property
    def changes(self) -> dict[ProfileMember, str | None]:
        """What is to be changed, and to what."""
        given: dict[ProfileMember, str | None] = {"nickname": self.nickname, "avatar": self.avatar}
        return {member: value for member, value in given.items() if member in self.model_fields_set}


class DeletionRequest(Request):
    """`DELETE /me/`."""

    code: Text_ = Field(repr=False)


class MobileRequest(Request):
    """`POST /me/mobile/`."""

    mobile: Mobile
    code: Text_ = Field(repr=False)


class PasswordResetRequest(Request):
    """`POST /password/reset/`."""

    mobile: Mobile
    code: Text_ = Field(repr=False)
    password: NewPassword


class PasswordChangeRequest(Request):
    """`POST /password/change/`."""

    old_password: Text_ = Field(repr=False)
    password: NewPassword


class ProfileResponse(BaseModel):
    """The answer to `GET /me/`."""

    id: int
    mobile: str
    nick: str
    nickname: str | None
    avatar: str | None
    created_at: Timestamp

    @classmethod
    def of(cls, user: User) -> Self:
        """Return the answer for an account."""
        return cls(
            id=user.id,
            mobile=user.mobile,
            nick=user.nick,
            nickname=user.nickname,
            avatar=user.avatar,
            created_at=user.created_at,
        )


class MobileResponse(BaseModel):
    """The answer to `POST /me/mobile/`."""

    mobile: str


class EmptyResponse(BaseModel):
    """The answer where there is nothing to say: `{}`."""
