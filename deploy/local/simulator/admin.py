"""Endpoints for people and tests: inbox, page, accounts, faults, outcomes, pushes."""

import json
from pathlib import Path
from typing import Any

from tornado.web import RequestHandler

from deploy.local.simulator.account import Account, AccountConfig
from deploy.local.simulator.rules import Rule, RuleList
from deploy.local.simulator.settings import FIRST_ACCOUNT
from deploy.local.simulator.simulator import Simulator

_PAGE = Path(__file__).with_name("page.html")


class AdminHandler(RequestHandler):
    """Base of the handlers: JSON in, JSON out; 400 for malformed requests."""

    def initialize(self, simulator: Simulator) -> None:
        """Take the simulator."""
        self.simulator = simulator

    def respond(self, document: Any, status: int = 200) -> None:  # noqa: ANN401 - any JSON
        """Send JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(document, ensure_ascii=False))

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - Tornado's signature
        """Send the error's message."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        self.respond({"error": str(error)}, 400 if isinstance(error, ValueError) else status_code)


class PageHandler(AdminHandler):
    """`GET /`: the inbox as a page."""

    def get(self) -> None:
        """Show the page."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.finish(_PAGE.read_bytes())


class HealthzHandler(AdminHandler):
    """`GET /healthz`."""

    def get(self) -> None:
        """Respond that the process is alive."""
        self.respond({"status": "alive"})


class InboxHandler(AdminHandler):
    """`/_inbox`: the accepted messages, newest last."""

    def get(self) -> None:
        """List the messages to `mobile`, or all of them."""
        now = self.simulator.first.now
        messages = self.simulator.messages(self.get_query_argument("mobile", None))
        self.respond([message.to_inbox(now) for message in messages])

    def delete(self) -> None:
        """Empty the inbox; limits and records are kept."""
        self.simulator.inbox.clear()
        self.set_status(204)


class AccountHandler(AdminHandler):
    """`/_account?account=NAME`: its configuration and how often it got each code; the first by default."""

    def get(self) -> None:
        """Show the account."""
        if (account := self._account()) is not None:
            self.respond(account.config.model_dump() | {"answers": dict(account.answers)})

    def put(self) -> None:
        """Change the members that the body has."""
        if (account := self._account()) is not None:
            changed = account.config.model_dump() | json.loads(self.request.body)
            account.config = AccountConfig.model_validate(changed)
            self.get()

    def _account(self) -> Account | None:
        account = self.simulator.accounts.get(self.get_query_argument("account", FIRST_ACCOUNT))
        if account is None:
            self.respond({"error": "no such account"}, 404)
        return account


class RulesHandler(AdminHandler):
    """`/_faults` and `/_outcomes`: the active rules of one kind."""

    def initialize(self, simulator: Simulator, model: type[Rule], rules: RuleList[Any]) -> None:  # type: ignore[override]
        """Take the rules and their model."""
        super().initialize(simulator)
        self.model = model
        self.rules = rules

    def get(self) -> None:
        """List the rules."""
        self.respond([rule.model_dump() for rule in self.rules.rules])

    def post(self) -> None:
        """Add a rule."""
        rule = self.model.model_validate_json(self.request.body)
        self.rules.rules.append(rule)
        self.respond(rule.model_dump(), 201)

    def delete(self) -> None:
        """Remove all rules."""
        self.rules.rules.clear()
        self.set_status(204)


class RepliesHandler(AdminHandler):
    """`/_replies`: texts from phones."""

    def post(self) -> None:
        """Push the reply `{"mobile", "text"}` to the first account's callback URL."""
        reply = json.loads(self.request.body)
        self.simulator.reply(str(reply["mobile"]), str(reply["text"]))
        self.set_status(202)


class PushesHandler(AdminHandler):
    """`/_pushes`: the tries to push status reports and replies."""

    def get(self) -> None:
        """List the tries, newest last."""
        self.respond(list(self.simulator.pusher.log))
