"""Errors that are rendered as problem documents (RFC 9457), one class per slug.

AppError
├── InvalidRequest          400  invalid input, with a list of messages per field
├── Unauthorized            401  missing, invalid or expired token
├── NotFound                404
├── MethodNotAllowed        405
├── RequestTimeout          408  the head or the body did not come in time
├── PayloadTooLarge         413
├── UriTooLong              414
├── UnsupportedMediaType    415
├── UnsupportedContentEncoding 415  the body is compressed
├── ExpectationFailed       417  `Expect` with anything but 100-continue
├── TooManyRequests         429
├── HeadersTooLarge         431
├── InternalError           500  a defect; the cause is logged, never shown
├── BadGateway              502  an upstream sent a malformed response or closed the connection
├── Unavailable             503  a dependency is down or a queue is full
└── GatewayTimeout          504  an upstream did not respond in time

Services define subclasses (for instance `services.auth.errors`).
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from shared.http.methods import allow
from shared.i18n import Text

FieldMessages = Mapping[str, Sequence[Text]]
NON_FIELD = "non_field_errors"


class AppError(Exception):
    """Base of the errors that clients see.

    Attributes:
        slug: the last part of the problem's `type`; stable, for programs.
        status: the HTTP status code.
        title: one line, for people.
        fields: messages by request member (`non_field_errors` for the whole request).
        retry_after: seconds to wait before a retry, for 429 and 503.
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
        """The response headers of the error."""
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def members(self) -> Mapping[str, object]:
        """The extension members of the problem document."""
        return {} if self.retry_after is None else {"retry_after": self.retry_after}


class InvalidRequest(AppError):
    """The input is invalid; `fields` says where and what is accepted."""

    slug = "invalid-request"
    status = 400
    title = Text("The request is invalid", "请求无效")


class Unauthorized(AppError):
    """The access token is missing, malformed, expired or revoked."""

    slug = "invalid-token"
    status = 401
    title = Text("A valid access token is required", "需要有效的访问令牌")

    def __init__(self, *, token_given: bool) -> None:
        super().__init__()
        self._token_given = token_given

    @property
    def headers(self) -> dict[str, str]:
        """The challenge of RFC 6750 §3; it has `error` only if a token was presented."""
        detail = ', error="invalid_token"' if self._token_given else ""
        return {"WWW-Authenticate": f'Bearer realm="dialpass"{detail}'}


class NotFound(AppError):
    """The path or the resource does not exist."""

    slug = "not-found"
    status = 404
    title = Text("Not found", "未找到")


class MethodNotAllowed(AppError):
    """The path does not support the method."""

    slug = "method-not-allowed"
    status = 405
    title = Text("Method not allowed", "不支持该请求方法")

    def __init__(self, allowed: Sequence[str]) -> None:
        super().__init__()
        self._allowed = allowed

    @property
    def headers(self) -> dict[str, str]:
        """The methods that the path supports (RFC 9110 §10.2.1)."""
        return {"Allow": allow(self._allowed)}


class RequestTimeout(AppError):
    """The client took too long to send its request."""

    slug = "request-timeout"
    status = 408
    title = Text("The request did not arrive in time", "请求未能及时到达")


class PayloadTooLarge(AppError):
    """The body is longer than the route accepts."""

    slug = "payload-too-large"
    status = 413
    title = Text("The request body is too large", "请求体过大")


class UriTooLong(AppError):
    """The request line is longer than the server accepts."""

    slug = "uri-too-long"
    status = 414
    title = Text("The request's URL is too long", "请求的 URL 过长")


class UnsupportedMediaType(AppError):
    """The body is not JSON."""

    slug = "unsupported-media-type"
    status = 415
    title = Text("The request body must be application/json", "请求体必须是 application/json")


class UnsupportedContentEncoding(AppError):
    """The body is compressed, or encoded in another way."""

    slug = "unsupported-content-encoding"
    status = 415
    title = Text("The request body must not be compressed", "请求体不能压缩")

    @property
    def headers(self) -> dict[str, str]:
        """What is accepted (RFC 9110 §15.5.16)."""
        return {"Accept-Encoding": "identity"}


class ExpectationFailed(AppError):
    """The client expects something else than `100 Continue` (RFC 9110 §10.1.1)."""

    slug = "expectation-failed"
    status = 417
    title = Text("The expectation in the header Expect is not supported", "不支持 Expect 头中的期望")


class TooManyRequests(AppError):
    """The client has to wait; `Retry-After` says how long."""

    slug = "too-many-requests"
    status = 429
    title = Text("Too many requests, please wait", "请求过于频繁，请稍后再试")


class HeadersTooLarge(AppError):
    """The request's head is longer than the server accepts."""

    slug = "headers-too-large"
    status = 431
    title = Text("The request's headers are too large", "请求头过大")


class InternalError(AppError):
    """A defect in a service."""

    slug = "internal-error"
    status = 500
    title = Text("Something went wrong on our side", "服务器内部错误")


class BadGateway(AppError):
    """An upstream closed the connection or sent a malformed response."""

    slug = "bad-gateway"
    status = 502
    title = Text("The service gave no usable answer", "服务未能给出有效响应")


class Unavailable(AppError):
    """A dependency is down or overloaded; no data was changed."""

    slug = "service-unavailable"
    status = 503
    title = Text("The service is temporarily unavailable, please try again", "服务暂时不可用，请稍后重试")

    def __init__(self, *, retry_after: int = 2) -> None:
        super().__init__(retry_after=retry_after)


class GatewayTimeout(AppError):
    """An upstream did not respond within the route's time limit."""

    slug = "gateway-timeout"
    status = 504
    title = Text("The service took too long to answer", "服务响应超时")
