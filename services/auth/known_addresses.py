"""The addresses that the owner of a number is known to use: strangers cannot keep the owner out there."""

from services.auth.keyed_hash import CodeSecrets
from services.auth.networks import canonical

KNOWN_MS = 90 * 86_400_000


def known_key(mobile: str, address: str, secrets: CodeSecrets) -> str:
    """Return the key that exists where the owner of a number has proved to be one from an address."""
    return f"sign-in:known:{pair(mobile, address, secrets)}"


def pair(mobile: str, address: str, secrets: CodeSecrets) -> str:
    """Return the pseudonym of a number and an address together."""
    return secrets.pseudonym("pair", f"{mobile} {canonical(address)}")
