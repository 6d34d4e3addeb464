"""The simulator's Tornado application."""

import time
from collections.abc import Callable
from typing import Any

from tornado.routing import Rule
from tornado.web import Application, ErrorHandler

from deploy.local.simulator import admin, endpoints
from deploy.local.simulator.hosts import AllowedHosts, MisdirectedHandler
from deploy.local.simulator.rules import Fault, Outcome
from deploy.local.simulator.settings import SimulatorSettings
from deploy.local.simulator.simulator import Simulator


def make_app(settings: SimulatorSettings, clock: Callable[[], float] = time.time) -> Application:
    """Return the application.

    Args:
        settings: the simulated accounts.
        clock: returns seconds since the epoch; tests replace it.
    """
    simulator = Simulator(settings, clock)
    shared = {"simulator": simulator}
    faults = shared | {"model": Fault, "rules": simulator.faults}
    outcomes = shared | {"model": Outcome, "rules": simulator.outcomes}
    handlers: list[Any] = [
        (r"/v2/sms/single_send\.json", endpoints.SingleSend, shared),
        (r"/v2/sms/batch_send\.json", endpoints.BatchSend, shared),
        (r"/v2/voice/send\.json", endpoints.VoiceSend, shared),
        (r"/v2/sms/get_record\.json", endpoints.GetRecord, shared),
        (r"/v2/sms/pull_status\.json", endpoints.PullStatus, shared),
        (r"/v2/voice/pull_status\.json", endpoints.PullVoiceStatus, shared),
        (r"/v2/user/get\.json", endpoints.UserGet, shared),
        (r"/", admin.PageHandler, shared),
        (r"/healthz", admin.HealthzHandler, shared),
        (r"/_inbox", admin.InboxHandler, shared),
        (r"/_account", admin.AccountHandler, shared),
        (r"/_faults", admin.RulesHandler, faults),
        (r"/_outcomes", admin.RulesHandler, outcomes),
        (r"/_replies", admin.RepliesHandler, shared),
        (r"/_pushes", admin.PushesHandler, shared),
        (r".*", ErrorHandler, {"status_code": 404}),
    ]
    hosts = AllowedHosts(settings.simulator_allowed_hosts.split(","))
    return Application(
        [Rule(hosts, handlers)],
        default_handler_class=MisdirectedHandler,
        cross_origin_protection=True,  # a page of another site could otherwise script faults
        log_function=lambda _handler: None,
    )
