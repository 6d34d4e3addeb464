"""Rules that tests and people script over HTTP: which request they are for, and how often."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field


class Rule(BaseModel):
    """What all rules have.

    Attributes:
        mobile: only for this number.
        account: only for the account of this name.
        times: how often; None for ever.
    """

    model_config = ConfigDict(extra="forbid")

    mobile: str | None = None
    account: str | None = None
    times: int | None = Field(None, ge=1)

    def concerns(self, account: str, mobile: str) -> bool:
        """Tell whether the rule is for this account and number."""
        return self.mobile in {None, mobile} and self.account in {None, account}


R = TypeVar("R", bound=Rule)


@dataclass(slots=True)
class Rules(Generic[R]):
    """The rules in force, in the order in which they were given."""

    rules: list[R] = field(default_factory=list)

    def take(self, fits: Callable[[R], bool]) -> R | None:
        """Return the first rule that fits, using up one of its times."""
        rule = next(filter(fits, self.rules), None)
        if rule is not None and rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self.rules.remove(rule)
        return rule
