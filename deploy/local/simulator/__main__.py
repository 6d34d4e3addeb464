"""`python -m deploy.local.simulator`."""

import asyncio
import signal
import sys

from deploy.local.simulator.app import make_app
from deploy.local.simulator.settings import SimulatorSettings


async def main() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = SimulatorSettings()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    make_app(settings).listen(settings.simulator_port, settings.simulator_host)
    print(f"Yunpian simulator: http://{settings.simulator_host}:{settings.simulator_port}/", flush=True)
    await stopping.wait()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except OSError as error:
        sys.exit(f"SIMULATOR_PORT: {error.strerror}")
