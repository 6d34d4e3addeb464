"""What the OpenAPI document says of an endpoint beside its signature, declared where it is implemented."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from shared.errors import AppError

_Method = TypeVar("_Method", bound=Callable[..., Any])

_ATTRIBUTE = "operation"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        tag: the group that it is shown in.
        request: the model of the request's body.
        problems: its own errors, beside those that every operation of its kind has.
        signed_in: whether it requires an access token.
        note: what a user of the API has to know beside the summary.
    """

    tag: str
    request: type[BaseModel] | None = None
    problems: tuple[type[AppError], ...] = ()
    signed_in: bool = False
    note: str = ""


def operation(
    tag: str,
    *,
    request: type[BaseModel] | None = None,
    problems: tuple[type[AppError], ...] = (),
    signed_in: bool = False,
    note: str = "",
) -> Callable[[_Method], _Method]:
    """Describe the `handle_<method>` that it decorates; see `Operation` for the arguments."""
    described = Operation(tag, request, problems, signed_in, note)

    def decorate(method: _Method) -> _Method:
        setattr(method, _ATTRIBUTE, described)
        return method

    return decorate


def operation_of(method: Callable[..., Any]) -> Operation:
    """Return the description of a decorated method.

    Raises:
        AttributeError: the method is not decorated.
    """
    described: Operation = getattr(method, _ATTRIBUTE)
    return described
