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
    if settings.code_length < _LEAST_DIGITS:
        odds = 10**settings.code_length // settings.code_max_tries
        log.warning("codes_short", digits=settings.code_length, guessed_once_in=odds)
    if settings.bcrypt_rounds < _LEAST_BCRYPT_ROUNDS:
        log.warning(
            "weak_setting",
            setting="BCRYPT_ROUNDS",
            value=settings.bcrypt_rounds,
            at_least=_LEAST_BCRYPT_ROUNDS,
        )
