"""The addresses that an account trusts."""

from services.auth.keyed_hash import KeyedHash
from shared.networks import canonical

# How long an account trusts an address after a successful sign-in or a right code.
TRUSTED_MS = 90 * 86_400_000


def trusted_address_key(mobile: str, address: str, keyed_hash: KeyedHash) -> str:
    """Return the Redis key that exists while the account of a number trusts an address.

    Strangers cannot lock an owner out of a trusted address.
    """
    return f"sign-in:known:{account_address(mobile, address, keyed_hash)}"


def account_address(mobile: str, address: str, keyed_hash: KeyedHash) -> str:
    """Return the keyed hash of a number together with an address."""
    return keyed_hash.name("pair", f"{mobile} {canonical(address)}")
