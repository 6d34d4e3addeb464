"""Structured logs in JSON or for a console, with secrets masked."""

import logging
import re
import sys
from typing import Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from shared.phone import mask_mobile

# Members that hold secrets in any event; their values are never written. What is to be read has another name:
# the codes of databases and providers are `error_code` and `provider_code`.
SECRET_MEMBERS = frozenset(
    {
        "password",
        "old_password",
        "code",
        "token",
        "refresh_token",
        "authorization",
        "apikey",
        "text",
    }
)
_NUMBER = re.compile(
    r"(?<![0-9A-Za-z])(?:(?:\+?86)?1[3-9][0-9]{9}|\+[1-9][0-9]{6,14})(?![0-9A-Za-z])", re.ASCII
)
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+\.[A-Za-z0-9_\-]+", re.ASCII)
_URL_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]+@", re.ASCII)
_SHORTEST_SENSITIVE = 11
_NOISY_LIBRARIES = ("aio_pika", "aiormq", "asyncio", "aiomysql")


def configure(service: str, log_format: Literal["json", "console"], level: str) -> None:
    """Configure structlog and the standard library's logging to write to standard output.

    Args:
        service: the service's name, in every line.
        log_format: JSON lines for machines or coloured text for people.
        level: the minimum level that is written.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _Service(service),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer = _renderer(log_format)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )
    _route_library_logs(processors, renderer, threshold)


class _Service:
    """A processor that adds the service's name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = self._name
        return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """A processor that masks secrets: known members, and values that look like a number or a token.

    Callers mask what they log; this is a safety net.
    """
    for member, value in event.items():
        if member in SECRET_MEMBERS:
            event[member] = "[redacted]"
        elif isinstance(value, str) and len(value) >= _SHORTEST_SENSITIVE:
            event[member] = redact_text(value)
    return event


def redact_text(text: str) -> str:
    """Return `text` with phone numbers masked, and JWTs and passwords in URLs removed."""
    text = _NUMBER.sub(lambda match: mask_mobile(match.group()), text)
    if "eyJ" in text:
        text = _TOKEN.sub("[redacted]", text)
    if "://" in text:
        text = _URL_PASSWORD.sub(r"\1[redacted]@", text)
    return text


def _renderer(log_format: Literal["json", "console"]) -> Processor:
    if log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())


def _route_library_logs(processors: list[Processor], renderer: Processor, threshold: int) -> None:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(threshold, logging.INFO))
    for name in _NOISY_LIBRARIES:
        logging.getLogger(name).setLevel(logging.ERROR)
    # Services write their own access logs, without probes.
    logging.getLogger("tornado.access").setLevel(logging.CRITICAL)
