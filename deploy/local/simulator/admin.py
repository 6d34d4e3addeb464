"""What people and tests use: the inbox, the page, the faults, the account."""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from tornado.web import RequestHandler

from deploy.local.simulator.account import Account
from deploy.local.simulator.faults import Fault, Faults

_PAGE = Path(__file__).with_name("page.html")


class AccountChange(BaseModel):
    """What `PUT /_account` may change."""

    limits: bool | None = None
    balance: float | None = None
    ip_whitelist: list[str] | None = None
    blacklist: list[str] | None = None


class Admin(RequestHandler):
    """Base of the handlers below: JSON in, JSON out."""

    def initialize(self, account: Account, faults: Faults) -> None:
        """Take the account and the faults."""
        self.account = account
        self.faults = faults

    def answer(self, document: Any, status: int = 200) -> None:  # noqa: ANN401 - any JSON
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document, ensure_ascii=False))

    def body(self, model: type[BaseModel]) -> Any:  # noqa: ANN401 - an instance of the model
        """Return the validated body, or answer 400 and return None."""
        try:
            return model.model_validate_json(self.request.body)
        except ValidationError as error:
            self.answer({"error": str(error)}, 400)
            return None


class Page(Admin):
    """`GET /`: the inbox as a page."""

    def get(self) -> None:
        """Show the page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_PAGE.read_bytes())


class Healthz(Admin):
    """`GET /healthz`."""

    def get(self) -> None:
        """Say that the process is there."""
        self.answer({"status": "alive"})


class Inbox(Admin):
    """`/_inbox`: the accepted texts, newest last."""

    def get(self) -> None:
        """List the texts of `mobile`, or all of them."""
        sent = self.account.texts(self.get_query_argument("mobile", None))
        self.answer([text.as_json() for text in sent])

    def delete(self) -> None:
        """Empty the inbox."""
        self.account.empty_inbox()
        self.set_status(204)


class FaultRules(Admin):
    """`/_faults`: what goes wrong from now on."""

    def get(self) -> None:
        """List the rules."""
        self.answer([rule.model_dump() for rule in self.faults.rules])

    def post(self) -> None:
        """Add a rule."""
        if (rule := self.body(Fault)) is not None:
            self.faults.rules.append(rule)
            self.answer(rule.model_dump(), 201)

    def delete(self) -> None:
        """Remove all rules."""
        self.faults.rules.clear()
        self.set_status(204)


class AccountState(Admin):
    """`/_account`: balance, lists, limits, and how often each code was answered."""

    def get(self) -> None:
        """Show the account."""
        account = self.account
        self.answer(
            {
                "balance": round(account.balance, 2),
                "limits": account.limits,
                "ip_whitelist": account.ip_whitelist,
                "blacklist": account.blacklist,
                "answers": dict(account.answers),
            }
        )

    def put(self) -> None:
        """Change the account."""
        if (change := self.body(AccountChange)) is None:
            return
        for name, value in change.model_dump(exclude_none=True).items():
            setattr(self.account, name, value)
        self.get()
