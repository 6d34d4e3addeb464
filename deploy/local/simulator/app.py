"""The simulator, put together."""

import time
from collections.abc import Callable

from tornado.web import Application

from deploy.local.simulator import admin
from deploy.local.simulator.account import Account
from deploy.local.simulator.faults import Faults
from deploy.local.simulator.send import SingleSend
from deploy.local.simulator.settings import SimulatorSettings


def make_app(settings: SimulatorSettings, clock: Callable[[], float] = time.time) -> Application:
    """Return the simulator as a Tornado application.

    Args:
        settings: the simulated account.
        clock: seconds since the epoch; tests move it.
    """
    parts = {"account": Account(settings, clock), "faults": Faults([])}
    return Application(
        [
            (r"/v2/sms/single_send\.json", SingleSend, parts),
            (r"/", admin.Page, parts),
            (r"/healthz", admin.Healthz, parts),
            (r"/_inbox", admin.Inbox, parts),
            (r"/_faults", admin.FaultRules, parts),
            (r"/_account", admin.AccountState, parts),
        ],
        log_function=lambda _handler: None,
    )
