"""Bodies of the requests and answers about accounts."""

from pydantic import BaseModel, ConfigDict, Field

from services.auth.http.fields import Avatar, Code, Mobile, NewPassword, Nickname, RequestBody, Timestamp
from services.auth.models import ProfileMember


class ProfileRequest(RequestBody):
    """`PATCH /me/`; missing members stay, null removes one."""

    nickname: Nickname | None = None
    avatar: Avatar | None = None

    @property
    def changes(self) -> dict[ProfileMember, str | None]:
        """The new values of the members that the request contains."""
        given: dict[ProfileMember, str | None] = {"nickname": self.nickname, "avatar": self.avatar}
        return {member: value for member, value in given.items() if member in self.model_fields_set}


class DeletionRequest(RequestBody):
    """`DELETE /me/`."""

    code: Code = Field(repr=False)


class MobileRequest(RequestBody):
    """`POST /me/mobile/`."""

    mobile: Mobile
    code: Code = Field(repr=False)


class RegisterRequest(RequestBody):
    """`POST /register/`."""

    mobile: Mobile
    code: Code = Field(repr=False)
    nickname: Nickname | None = None
    avatar: Avatar | None = None
    # Last, because its validator reads the ones before.
    password: NewPassword


class RegisterResponse(BaseModel):
    """The answer to `POST /register/`."""

    id: int


class ProfileResponse(BaseModel):
    """The answer to `GET /me/`."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    mobile: str
    nick: str
    nickname: str | None
    avatar: str | None
    created_at: Timestamp


class MobileResponse(BaseModel):
    """The answer to `POST /me/mobile/`."""

    mobile: str
