"""The three processes: gateway, auth and sms.

Imported before all that they import, so it is here that libraries are kept from importing others, large
ones, only because these are installed: 6 MB and 60 ms a process. They expect that these may be missing.
"""

import importlib
import sys

# redis-py: OpenTelemetry's SDK for metrics, which nothing here uses.
sys.modules.setdefault("opentelemetry.sdk.metrics", None)  # type: ignore[arg-type]

# structlog: rich and pygments, for tracebacks in colours; ours are plain. Commands do use rich.
if not {"rich", "structlog"} & set(sys.modules):
    sys.modules["rich"] = None  # type: ignore[assignment]
    importlib.import_module("structlog")
    del sys.modules["rich"]
