"""The key ring: the signing keys of a folder, reloaded when it changes, and which of them signs."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from services.auth.tokens.signing_keys import (
    Algorithm,
    SigningKey,
    UnusableKey,
    key_files,
    load_keys,
)
from shared.observability.metrics import AuthMetrics
from shared.security.access_tokens import VerifyingKey

_POLL_SECONDS = 1.0

# Name, inode, modification time and size of each key; a difference means that the folder has changed.
_Fingerprint = tuple[tuple[str, int, int, int], ...]

log = structlog.get_logger()


class NoSigningKey(Exception):
    """The folder holds no usable key; the message names the setting and the remedy."""


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Which keys sign.

    Attributes:
        algorithm: only keys of this algorithm sign; all keys verify, each by its own.
        delay: age at which a key begins to sign. Until then it is only published, so that all verifiers
            have it before they see its signatures.
    """

    algorithm: Algorithm
    delay: timedelta


def signing_order(keys: Sequence[SigningKey], policy: KeyPolicy) -> list[SigningKey]:
    """Return the keys of the signing algorithm, oldest first."""
    chosen = [key for key in keys if key.algorithm == policy.algorithm]
    return sorted(chosen, key=lambda key: (key.created_at, key.kid))


def signing_key(keys: Sequence[SigningKey], policy: KeyPolicy, now: datetime) -> SigningKey:
    """Return the key that signs: the newest one that is old enough, else the oldest.

    All replicas choose the same one, because only the keys' names and the time count.
    """
    order = signing_order(keys, policy)
    ripe = [key for key in order if key.created_at + policy.delay <= now]
    return ripe[-1] if ripe else order[0]


def read_keys(folder: Path, algorithm: Algorithm) -> list[SigningKey]:
    """Return the keys of a folder.

    Raises:
        NoSigningKey: the folder is missing, or holds an unusable file or no key to sign with.
    """
    try:
        keys = load_keys(folder)
    except UnusableKey as error:
        raise NoSigningKey(f"SIGNING_KEYS_DIR: {error}") from error
    except OSError as error:
        raise NoSigningKey(f"SIGNING_KEYS_DIR cannot be read: {error.strerror}") from error
    if not any(key.algorithm == algorithm for key in keys):
        raise NoSigningKey(
            f"SIGNING_KEYS_DIR holds no key for {algorithm}: {folder}; "
            "make one with python -m services.auth key create"
        )
    return keys


class KeyRing:
    """The current keys of a folder.

    If the folder becomes unusable, that is logged and counted, and the keys before stay in use.

    Args:
        folder: holds the keys; a mounted Kubernetes Secret changes by swapping a symbolic link.
        policy: which keys sign.
        metrics: counts failed reloads.

    Raises:
        NoSigningKey: the folder holds no usable key at the start.
    """

    def __init__(self, folder: Path, policy: KeyPolicy, metrics: AuthMetrics) -> None:
        self._folder = folder
        self._policy = policy
        self._metrics = metrics
        self._seen = _fingerprint(folder)
        self._take(read_keys(folder, policy.algorithm))

    def signing_key(self, now: datetime) -> SigningKey:
        """Return the key that signs now."""
        return signing_key(self._keys, self._policy, now)

    def find(self, kid: str) -> VerifyingKey | None:
        """Return the verifying key with the id `kid` or None."""
        return self._verifying.get(kid)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return all public keys, including future ones, as a JSON Web Key Set (RFC 7517 §5)."""
        return {"keys": [jwk for key in self._keys if (jwk := key.jwk)]}

    def secret_kids(self) -> list[str]:
        """Return the ids of the keys that are not published."""
        return [key.kid for key in self._keys if key.algorithm == "HS256"]

    async def watch(self) -> None:
        """Reload the folder whenever it has changed, until cancelled."""
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Reload the folder if it has changed."""
        seen = _fingerprint(self._folder)
        if seen == self._seen:
            return
        try:
            self._take(read_keys(self._folder, self._policy.algorithm))
        except NoSigningKey as error:
            self._metrics.key_failures.inc()
            log.error("signing_keys_unusable", error=str(error))
            return
        self._seen = seen
        log.info("signing_keys_changed", kids=sorted(self._verifying))

    def _take(self, keys: list[SigningKey]) -> None:
        self._keys = keys
        for key in keys:
            if key.weakness:
                log.warning("signing_key_weak", kid=key.kid, reason=key.weakness)
        self._verifying = {key.kid: key.verifying for key in keys}


def _fingerprint(folder: Path) -> _Fingerprint:
    """Return a value that changes with the keys; a file that vanishes meanwhile is a change, too."""
    states = []
    for path in key_files(folder):
        try:
            state = path.stat()
        except OSError:
            continue
        states.append((path.name, state.st_ino, state.st_mtime_ns, state.st_size))
    return tuple(states)
