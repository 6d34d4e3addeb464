"""The mode of the chaos tests: short in `make test`, long in `make chaos`."""

import os

LONG = os.environ.get("CHAOS") == "long"
