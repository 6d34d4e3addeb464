"""What the description of the API cannot read off the handlers: requests, errors, notes."""

from dataclasses import dataclass

from pydantic import BaseModel

from services.auth import errors
from services.auth.accounts import schemas as schemas_accounts
from services.auth.http import schemas
from services.auth.sessions import schemas as schemas_sessions
from shared.errors import AppError, NotFound


@dataclass(frozen=True, slots=True)
class Operation:
    """One verb of one path.

    Attributes:
        tag: the group it is shown in.
        request: the model of its body.
        problems: the errors of its own, beside those that every operation of its kind has.
        signed_in: whether it takes an access token.
        note: what a user of the API has to know beside the summary.
    """

    tag: str
    request: type[BaseModel] | None = None
    problems: tuple[type[AppError], ...] = ()
    signed_in: bool = False
    note: str = ""


_CODES, _ACCOUNT, _SIGN_IN, _SESSIONS = "Codes", "Account", "Sign-in", "Sessions"

OPERATIONS: dict[tuple[str, str], Operation] = {
    ("post", "/code/"): Operation(
        _CODES,
        schemas.CodeRequest,
        (errors.TooManyCodes, errors.ChallengeRequired, errors.SmsUnavailable),
        note="Answers alike whether or not the number has an account. After `challenge-required`, the same "
        "request is made again with the solved challenge.",
    ),
    ("get", "/code/{message_id}/"): Operation(_CODES, problems=(NotFound,)),
    ("post", "/register/"): Operation(
        _ACCOUNT,
        schemas.RegisterRequest,
        (errors.InvalidCode, errors.AlreadyRegistered, errors.Overloaded),
        note="With a code of purpose `register`.",
    ),
    ("get", "/me/"): Operation(_ACCOUNT, signed_in=True),
    ("patch", "/me/"): Operation(
        _ACCOUNT,
        schemas_accounts.ProfileRequest,
        signed_in=True,
        note="What is missing stays, null takes away.",
    ),
    ("delete", "/me/"): Operation(
        _ACCOUNT,
        schemas_accounts.DeletionRequest,
        (errors.InvalidCode,),
        signed_in=True,
        note="With a code of purpose `delete`. Personal data is erased and the number is free again.",
    ),
    ("post", "/me/mobile/"): Operation(
        _ACCOUNT,
        schemas_accounts.MobileRequest,
        (errors.InvalidCode, errors.AlreadyRegistered),
        signed_in=True,
        note="With a code of purpose `change_mobile` that was sent to the new number.",
    ),
    ("post", "/password/reset/"): Operation(
        _ACCOUNT,
        schemas_accounts.PasswordResetRequest,
        (errors.InvalidCode, errors.Overloaded),
        note="With a code of purpose `reset`. Ends every session.",
    ),
    ("post", "/password/change/"): Operation(
        _ACCOUNT,
        schemas_accounts.PasswordChangeRequest,
        (errors.WrongPassword, errors.TooManyAttempts, errors.Overloaded),
        signed_in=True,
        note="Ends the other sessions.",
    ),
    ("post", "/login/"): Operation(
        _SIGN_IN,
        schemas_sessions.LoginRequest,
        (errors.WrongCredentials, errors.TooManyAttempts, errors.Overloaded),
    ),
    ("post", "/login/code/"): Operation(
        _SIGN_IN,
        schemas_sessions.LoginCodeRequest,
        (errors.InvalidCode,),
        note="With a code of purpose `login`. Makes an account where there is none, unless that is "
        "switched off.",
    ),
    ("post", "/token/refresh/"): Operation(
        _SIGN_IN,
        schemas_sessions.RefreshRequest,
        (errors.SessionOver,),
        note="The refresh token is exchanged for a new one; used again later than a few seconds, it ends the "
        "session.",
    ),
    ("get", "/.well-known/jwks.json"): Operation(_SIGN_IN, note="RFC 7517; may be cached."),
    ("post", "/logout/"): Operation(_SESSIONS, signed_in=True),
    ("get", "/sessions/"): Operation(_SESSIONS, signed_in=True),
    ("delete", "/sessions/"): Operation(_SESSIONS, signed_in=True),
    ("delete", "/sessions/{id}/"): Operation(_SESSIONS, problems=(NotFound,), signed_in=True),
}
