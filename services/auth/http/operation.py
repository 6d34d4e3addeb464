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
    """The description of one method of one path; decorates its `handle_<method>`.

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

    def __call__(self, method: _Method) -> _Method:
        """Attach the description to a method and return it."""
        setattr(method, _ATTRIBUTE, self)
        return method

    @staticmethod
    def of(method: Callable[..., Any]) -> "Operation":
        """Return the description of a decorated method.

        Raises:
            AttributeError: the method is not decorated.
        """
        described: Operation = getattr(method, _ATTRIBUTE)
        return described
