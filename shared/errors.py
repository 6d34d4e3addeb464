"""Errors that end as a problem document (RFC 9457), one class per slug.

AppError
├── InvalidRequest          400  bad input, one list of messages per offending field
├── Unauthorized            401  no, a bad or an expired token
├── NotFound                404
├── MethodNotAllowed        405
├── PayloadTooLarge         413
├── UnsupportedMediaType    415
├── InternalError           500  a defect of ours; the cause is logged, never shown
├── BadGateway              502  an upstream answered garbage or broke off
├── Unavailable             503  a dependency is down, or too much work is queued
└── GatewayTimeout          504  an upstream did not answer in time

Services add their own below these (for instance `services.auth.errors`).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.i18n import Text

FieldMessages = Mapping[str, Sequence[Text]]
NON_FIELD = "non_field_errors"


class AppError(Exception):
    """A failure with a public face.

    Attributes:
        slug: the stable end of the problem's `type`, what a program branches on.
        status: the HTTP status code.
        title: one line for people.
        fields: messages by request member (`non_field_errors` for the whole).
        retry_after: seconds until a new try makes sense, for 429 and 503.
    """

    slug: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[Text]

    def __init__(self, fields: FieldMessages | None = None, *, retry_after: int | None = None) -> None:
        super().__init__(self.slug)
        self.fields: FieldMessages = fields or {}
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        """The response headers that belong to the error."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def members(self) -> Mapping[str, object]:
        """The extension members of the problem document that belong to the error."""
        return {} if self.retry_after is None else {"retry_after": self.retry_after}


class InvalidRequest(AppError):
    """The input is wrong; `fields` says where and what is accepted."""

    slug = "invalid-request"
    status = 400
    title = Text("The request is invalid", "请求无效")


class Unauthorized(AppError):
    """The access token is missing, malformed, expired or no longer accepted."""

    slug = "invalid-token"
    status = 401
    title = Text("A valid access token is required", "需要有效的访问令牌")

    def __init__(self, *, token_given: bool) -> None:
        super().__init__()
        self._token_given = token_given

    @property
    def headers(self) -> dict[str, str]:
        """The challenge of RFC 6750 §3: `error` only where a token was presented."""
        detail = ', error="invalid_token"' if self._token_given else ""
        return {"WWW-Authenticate": f'Bearer realm="dialpass"{detail}'}


class NotFound(AppError):
    """Nothing lives at the path."""

    slug = "not-found"
    status = 404
    title = Text("Not found", "未找到")


class MethodNotAllowed(AppError):
    """The path exists, the method does not."""

    slug = "method-not-allowed"
    status = 405
    title = Text("Method not allowed", "不支持该请求方法")

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self._allowed = allowed

    @property
    def headers(self) -> dict[str, str]:
        """The methods that the path takes (RFC 9110 §10.2.1)."""
        return {"Allow": ", ".join(self._allowed)}


class PayloadTooLarge(AppError):
    """The body is longer than the route accepts."""

    slug = "payload-too-large"
    status = 413
    title = Text("The request body is too large", "请求体过大")


class UnsupportedMediaType(AppError):
    """The body is not JSON."""

    slug = "unsupported-media-type"
    status = 415
    title = Text("The request body must be application/json", "请求体必须是 application/json")


class InternalError(AppError):
    """A defect of ours."""

    slug = "internal-error"
    status = 500
    title = Text("Something went wrong on our side", "服务器内部错误")


class BadGateway(AppError):
    """An upstream broke the connection or answered what is not HTTP."""

    slug = "bad-gateway"
    status = 502
    title = Text("The service gave no usable answer", "服务未能给出有效响应")


class Unavailable(AppError):
    """A dependency is down or overloaded; nothing was changed."""

    slug = "service-unavailable"
    status = 503
    title = Text("The service is temporarily unavailable, please try again", "服务暂时不可用，请稍后重试")

    def __init__(self, *, retry_after: int = 2) -> None:
        super().__init__(retry_after=retry_after)


class GatewayTimeout(AppError):
    """An upstream did not answer within the route's time limit."""

    slug = "gateway-timeout"
    status = 504
    title = Text("The service took too long to answer", "服务响应超时")
