"""Secrets that everybody can read, because they are or were in this repository."""

import re
from urllib.parse import unquote

# Of `.env.example`, the compose file, the overlay for development, the simulator, and tests. Not RabbitMQ's
# guest, which the broker itself accepts from its own machine only.
_PUBLISHED = frozenset(
    {
        "development-only",
        "development-only-development-only",
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210",
        "a secret for tests",
        "a secret for tests, and for nothing else",
        "another secret for tests and for nothing else",
        "a-secret-for-tests-and-for-nothing-else",
        "a-secret-of-the-gateway-for-tests-alone",
        "a secret of its own, and so other budgets",
        "another secret, and so other budgets",
        *(character * 32 for character in "0123stxy"),
        *(character * 64 for character in "0f"),
        "hidden", "hunter2", "nothing", "p@ss", "pass-word", "password", "secret",
    }
)  # fmt: skip
_PASSWORD = re.compile(r"^[a-z0-9+]+://[^/@:]*:(?P<password>[^@]*)@")


def is_published(value: str) -> bool:
    """Return whether a secret, one of several separated by commas, or the password of a URL is public."""
    # The first one contains a comma, so that the whole is looked up, too.
    return any(_password(secret.strip()) in _PUBLISHED for secret in (value, *value.split(",")))


def _password(secret: str) -> str:
    """Return the password of a URL, or the secret itself if it is none."""
    match = _PASSWORD.match(secret)
    return unquote(match["password"]) if match else secret
