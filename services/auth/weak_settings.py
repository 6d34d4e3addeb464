"""Warnings about settings that are allowed, but weaker than recommended."""

import structlog

from services.auth.settings import AuthSettings

# RFC 4226 §4, R4: fewer digits are guessed too easily.
_LEAST_DIGITS = 6
# OWASP Password Storage Cheat Sheet.
_LEAST_BCRYPT_ROUNDS = 10

log = structlog.get_logger()


def warn_of_weak_settings(settings: AuthSettings) -> None:
    """Log a warning for each setting that is weaker than recommended."""
    for setting, value, at_least in (
        ("CODE_LENGTH", settings.code_length, _LEAST_DIGITS),
        ("BCRYPT_ROUNDS", settings.bcrypt_rounds, _LEAST_BCRYPT_ROUNDS),
    ):
        if value < at_least:
            log.warning("weak_setting", setting=setting, value=value, at_least=at_least)
