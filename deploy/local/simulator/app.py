"""The simulator, put together."""

import time
from collections.abc import Callable

from tornado.web import Application

from deploy.local.simulator import admin, queries, send
from deploy.local.simulator.accounts import open_accounts
from deploy.local.simulator.outcomes import Carrier
from deploy.local.simulator.parts import Parts
from deploy.local.simulator.pusher import Pusher
from deploy.local.simulator.rules import Rules
from deploy.local.simulator.settings import SimulatorSettings


def make_app(settings: SimulatorSettings, clock: Callable[[], float] = time.time) -> Application:
    """Return the simulator as a Tornado application.

    Args:
        settings: the simulated accounts.
        clock: seconds since the epoch; tests move it.
    """
    carrier = Carrier(settings.simulator_report_delay, Pusher(settings.simulator_push_retry))
    parts = {"parts": Parts(open_accounts(settings, clock), Rules(), carrier)}
    return Application(
        [
            (r"/v2/sms/single_send\.json", send.SingleSend, parts),
            (r"/v2/voice/send\.json", send.VoiceSend, parts),
            (r"/v2/sms/get_record\.json", queries.GetRecord, parts),
            (r"/v2/sms/pull_status\.json", queries.PullStatus, parts),
            (r"/v2/voice/pull_status\.json", queries.PullVoiceStatus, parts),
            (r"/v2/user/get\.json", queries.UserGet, parts),
            (r"/", admin.Page, parts),
            (r"/healthz", admin.Healthz, parts),
            (r"/_inbox", admin.Inbox, parts),
            (r"/_account", admin.AccountTerms, parts),
            (r"/_faults", admin.FaultRules, parts),
            (r"/_outcomes", admin.OutcomeRules, parts),
            (r"/_pushes", admin.Pushes, parts),
        ],
        log_function=lambda _handler: None,
    )
