"""The auth service's own errors, below those of `shared.errors`.

InvalidRequest
├── InvalidCode          wrong, expired, used, dead, or of another number or purpose
├── AlreadyRegistered    the number has an account
├── WrongPassword        the password of a signed-in user is not the account's
├── VoiceUnavailable     no call can read the code out, now or at all
├── PersonalPassword     the new password is the account's number or nickname
└── WrongCredentials     unknown number, wrong password or disabled account, indistinguishable
Unauthorized
├── SessionEnded         the session behind a refresh token has ended
├── TokenRefused         a gateway asked about a token that is not valid
└── ReauthenticationRequired   the session was proven too long ago for what was asked (RFC 9470)
Unavailable
├── SmsUnavailable       the broker did not take the message
├── TransactionConflict  a transaction lost to a concurrent one; nothing was changed
├── TooLate              the gateway has given the request up
├── EndedSessionsUnknown  a gateway asked for the ended sessions while the database does not answer
└── Overloaded           more password checks are queued than can be served in time
TooManyAttempts          429, after failed sign-ins or wrong codes, or too many checks at a time
TooManyCodes             429, inside the cooldown or over a quota
ChallengeRequired        403, with a proof-of-work challenge to solve first
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

from services.auth import i18n
from shared.errors import NON_FIELD, AppError, InvalidRequest, Unauthorized, Unavailable
from shared.i18n import Text
from shared.voice import VoiceHours


class InvalidCode(InvalidRequest):
    """The code does not open anything."""

    slug = "invalid-code"
    title = Text("The code is wrong or has expired", "验证码错误或已过期")

    def __init__(self) -> None:
        super().__init__({"code": [i18n.INVALID_CODE]})


class AlreadyRegistered(InvalidRequest):
    """The number has an account already."""

    slug = "already-registered"
    title = Text("The mobile number has an account already", "该手机号已注册")

    def __init__(self) -> None:
        super().__init__({"mobile": [i18n.ALREADY_REGISTERED]})


class WrongCredentials(InvalidRequest):
    """The mobile and the password do not belong together."""

    slug = "wrong-credentials"
    title = Text("The mobile number or the password is wrong", "手机号或密码错误")

    def __init__(self) -> None:
        super().__init__({NON_FIELD: [i18n.WRONG_CREDENTIALS]})


class VoiceUnavailable(InvalidRequest):
    """No call can read the code out; `retry_after` says when one can, where only the hour is wrong."""

    slug = "voice-unavailable"
    title = Text(
        "No phone call is possible, please ask for a text message", "暂时无法语音拨打，请改用短信验证码"
    )

    @classmethod
    def until(cls, hours: VoiceHours, at: datetime, opening: datetime) -> Self:
        """Return the error outside the hours."""
        seconds = math.ceil((opening - at).total_seconds())
        return cls({"channel": [i18n.VOICE_HOURS.fill(hours=hours)]}, retry_after=seconds)

    @classmethod
    def code_too_long(cls) -> Self:
        """Return the error where calls cannot read codes of the length that is set."""
        return cls({"channel": [i18n.VOICE_CODE_TOO_LONG]})


class WrongPassword(InvalidRequest):
    """The password that a signed-in user gave is not the account's."""

    slug = "wrong-password"
    title = Text("The password is wrong", "密码错误")

    def __init__(self, field: str = "old_password") -> None:
        super().__init__({field: [i18n.WRONG_PASSWORD]})


class PersonalPassword(InvalidRequest):
    """The new password is the account's number or nickname."""

    def __init__(self) -> None:
        super().__init__({"password": [i18n.PASSWORD_PERSONAL]})


class SessionEnded(Unauthorized):
    """The session has ended or run out; the user has to sign in again."""

    slug = "session-ended"
    title = Text("The session has ended, please sign in again", "会话已结束，请重新登录")

    def __init__(self) -> None:
        super().__init__(token_given=True)


class TokenRefused(Unauthorized):
    """The token that a gateway asked about is not valid. Only gateways see this.

    Args:
        secret_kids: the ids of all keys of HS256. The gateway refuses tokens of others without asking.
    """

    def __init__(self, secret_kids: Sequence[str]) -> None:
        super().__init__(token_given=True)
        self._secret_kids = secret_kids

    @property
    def members(self) -> Mapping[str, object]:
        """The ids of the keys."""
        return {"secret_kids": self._secret_kids}


class ReauthenticationRequired(Unauthorized):
    """The session's owner has to give the password or a code again (RFC 9470)."""

    slug = "reauthentication-required"
    title = Text("Please confirm that it is you", "请再次验证身份")

    def __init__(self, max_age: int) -> None:
        super().__init__(token_given=True)
        self._max_age = max_age

    @property
    def headers(self) -> dict[str, str]:
        """The challenge of RFC 9470 §3."""
        challenge = f'Bearer error="insufficient_user_authentication", max_age={self._max_age}'
        return {"WWW-Authenticate": challenge}


class TooManyAttempts(AppError):
    """Too many attempts, in a time or at a time, at the account or from the address; it tells not which."""

    slug = "too-many-attempts"
    status = 429
    title = Text("Too many attempts, please wait", "尝试次数过多，请稍后再试")


class TooManyCodes(AppError):
    """The number is in its cooldown, or a quota is used up; the answer does not say which."""

    slug = "too-many-codes"
    status = 429
    title = Text("Too many codes were asked for, please wait", "验证码请求过于频繁，请稍后再试")


class ChallengeNeeded(Exception):
    """The risk rules ask for a solved challenge, and the request carries none that is still unused.

    Args:
        difficulty: how often the work of the challenge has to be doubled.
    """

    def __init__(self, difficulty: int = 0) -> None:
        super().__init__()
        self.difficulty = difficulty


class ChallengeRequired(AppError):
    """The request has to be made again with the challenge solved."""

    slug = "challenge-required"
    status = 403
    title = Text("Please solve the challenge and ask again", "请完成人机验证后重试")

    def __init__(self, challenge: Mapping[str, object]) -> None:
        super().__init__()
        self._challenge = challenge

    @property
    def members(self) -> Mapping[str, object]:
        """The challenge, as ALTCHA's widget takes it."""
        return {"challenge": self._challenge}


class SmsUnavailable(Unavailable):
    """The message could not be stored by the broker; no cooldown was taken."""

    slug = "sms-unavailable"
    title = Text("Messages cannot be sent right now, please try again", "暂时无法发送短信，请稍后重试")


class TooLate(Unavailable):
    """The gateway has given the request up; nothing was begun, or what was begun was rolled back."""


class EndedSessionsUnknown(Unavailable):
    """The list of ended sessions cannot be read from the database. Only gateways see this.

    Args:
        announced: those that are known without it, with the expiry of their last access tokens.
    """

    def __init__(self, announced: Mapping[str, int]) -> None:
        super().__init__()
        self._announced = announced

    @property
    def members(self) -> Mapping[str, object]:
        """The sessions that are known."""
        return {**super().members, "ended": self._announced}


class TransactionConflict(Unavailable):
    """A deadlock, or a lock that was waited for too long; the transaction was rolled back."""


class Overloaded(Unavailable):
    """More work is queued than can be served in time."""

    slug = "overloaded"
    title = Text("Too many requests at once, please try again", "请求过多，请稍后重试")
