"""Which form of the chaos tests runs: `make test` has the short one, `make chaos` the long one."""

import os

LONG = os.environ.get("CHAOS") == "long"
