"""TLS to the servers: verified certificates and host names, and errors that say what was wrong."""

import ssl
from dataclasses import dataclass


class UnusableFile(ValueError):
    """A file cannot be read or is not PEM; the message names it and contains no secret."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of a TLS connection, in PEM.

    Attributes:
        ca: the certificates that the server's must be signed by; None for those of the system.
        certificate: this client's certificate, or None.
        key: the key of the client's certificate, or None if it is in the same file.
    """

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


def client_context(files: TlsFiles) -> ssl.SSLContext:
    """Return a context that verifies the server's certificate and its host name.

    Raises:
        UnusableFile: a file cannot be read or is not PEM.
    """
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise UnusableFile(f"{files.ca} cannot be used as CA: {_reason(error)}") from error
    if files.certificate:
        try:
            context.load_cert_chain(files.certificate, files.key)
        except (OSError, ValueError) as error:
            raise UnusableFile(f"{files.certificate} cannot be used: {_reason(error)}") from error
    return context


def explain(error: BaseException | None) -> str | None:
    """Return why TLS failed, in words without a secret, or None if it was not TLS.

    Drivers wrap the error, so its causes are searched.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the server's certificate was refused: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"TLS failed: {_reason(error)}"
        error = error.__cause__ or error.__context__
    return None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None)
    return str(reason or type(error).__name__)
