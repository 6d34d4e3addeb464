"""What people and tests use: the inbox, the page, the accounts, the faults and outcomes."""

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from tornado.web import RequestHandler

from deploy.local.simulator.account import Account, Terms
from deploy.local.simulator.faults import Fault
from deploy.local.simulator.outcomes import Outcome
from deploy.local.simulator.parts import Parts
from deploy.local.simulator.rules import Rule, Rules
from deploy.local.simulator.settings import FIRST_ACCOUNT

_PAGE = Path(__file__).with_name("page.html")


class Admin(RequestHandler):
    """Base of the handlers below: JSON in, JSON out; 400 for what cannot be read."""

    def initialize(self, parts: Parts) -> None:
        """Take the simulator's parts."""
        self.parts = parts

    def answer(self, document: Any, status: int = 200) -> None:  # noqa: ANN401 - any JSON
        """Answer with JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document, ensure_ascii=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's signature
        """Say what a body lacks."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.answer({"error": str(error)}, 400 if isinstance(error, ValueError) else status_code)


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
    """`/_inbox`: the accepted messages, newest last."""

    def get(self) -> None:
        """List the messages to `mobile`, or all of them."""
        accounts = self.parts.accounts
        now = accounts.first.now
        sent = accounts.messages(self.get_query_argument("mobile", None))
        self.answer([message.inbox_form(now) for message in sent])

    def delete(self) -> None:
        """Empty the inbox; the windows and the records stay."""
        self.parts.accounts.inbox.clear()
        self.set_status(204)


class AccountTerms(Admin):
    """`/_account?account=NAME`: its terms, and how often each code was answered; the first by default."""

    def get(self) -> None:
        """Show the account."""
        if (account := self._account()) is not None:
            self.answer(account.terms.model_dump() | {"answers": dict(account.answers)})

    def put(self) -> None:
        """Change the account; what is not given stays."""
        if (account := self._account()) is not None:
            changed = account.terms.model_dump() | json.loads(self.request.body)
            account.terms = Terms.model_validate(changed)
            self.get()

    def _account(self) -> Account | None:
        account = self.parts.accounts.by_name.get(self.get_query_argument("account", FIRST_ACCOUNT))
        if account is None:
            self.answer({"error": "no such account"}, 404)
        return account


class RuleList(Admin):
    """Base of the rules' handlers."""

    model: ClassVar[type[Rule]]

    @property
    @abstractmethod
    def rules(self) -> Rules[Any]:
        """The rules in force."""

    def get(self) -> None:
        """List the rules."""
        self.answer([rule.model_dump() for rule in self.rules.rules])

    def post(self) -> None:
        """Add a rule."""
        rule = self.model.model_validate_json(self.request.body)
        self.rules.rules.append(rule)
        self.answer(rule.model_dump(), 201)

    def delete(self) -> None:
        """Remove all rules."""
        self.rules.rules.clear()
        self.set_status(204)


class FaultRules(RuleList):
    """`/_faults`: what goes wrong from now on."""

    model = Fault

    @property
    def rules(self) -> Rules[Fault]:
        """The faults."""
        return self.parts.faults


class OutcomeRules(RuleList):
    """`/_outcomes`: what becomes of messages from now on."""

    model = Outcome

    @property
    def rules(self) -> Rules[Outcome]:
        """The outcomes."""
        return self.parts.carrier.outcomes


class Pushes(Admin):
    """`/_pushes`: the status reports that were pushed, with the try and whether it was acknowledged."""

    def get(self) -> None:
        """List the tries, newest last."""
        self.answer(list(self.parts.carrier.pusher.log))
