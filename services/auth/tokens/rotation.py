"""An operator's view of the signing keys: what each is good for, and when it may go."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from services.auth.tokens.key_ring import KeyPolicy, read_keys, signing_key, signing_order
from services.auth.tokens.signing_keys import SigningKey

# For requests that are on their way when the last token of a key expires.
_MARGIN = timedelta(seconds=5)

State = Literal["next", "signing", "verifying", "retirable"]


class NotRetirable(Exception):
    """The key is still needed; the message says why."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a key is used for now.

    Attributes:
        key: the key.
        state: `next`: it will sign; `signing`: it signs; `verifying`: tokens that it signed are valid;
            `retirable`: it is no longer needed.
        until: when its successor begins to sign, or when its last token expires; None if unknown.
    """

    key: SigningKey
    state: State
    until: datetime | None


def folder_states(folder: Path, policy: KeyPolicy, token_ttl: timedelta, now: datetime) -> list[KeyState]:
    """Return the state of each key in a folder, those of the signing algorithm first, oldest first.

    Raises:
        NoSigningKey: the folder cannot be used.
    """
    keys = read_keys(folder, policy.algorithm)
    order = signing_order(keys, policy)
    signs = signing_key(keys, policy, now)
    successors: list[SigningKey | None] = [*order[1:], None]
    states = [
        _state(key, signs, successor.created_at + policy.delay if successor else None, token_ttl, now)
        for key, successor in zip(order, successors, strict=True)
    ]
    # The time at which the algorithm was changed is unknown, and so is the expiry of the last token.
    others = [KeyState(key, "verifying", None) for key in keys if key.algorithm != policy.algorithm]
    return states + others


def _state(
    key: SigningKey, signs: SigningKey, replaced_at: datetime | None, token_ttl: timedelta, now: datetime
) -> KeyState:
    if key == signs:
        return KeyState(key, "signing", replaced_at)
    if replaced_at is None or replaced_at > now:
        return KeyState(key, "next", None)
    gone_at = replaced_at + token_ttl + _MARGIN
    return KeyState(key, "retirable" if gone_at <= now else "verifying", gone_at)


def retire(
    folder: Path, kid: str, policy: KeyPolicy, token_ttl: timedelta, now: datetime, *, force: bool
) -> None:
    """Remove a key that is no longer needed, or with `force` one whose tokens are refused from then on.

    Raises:
        NoSigningKey: the folder cannot be used.
        NotRetirable: there is no such key, it is the only one to sign with, or its tokens are still valid.
    """
    states = folder_states(folder, policy, token_ttl, now)
    chosen = next((state for state in states if state.key.kid == kid), None)
    if chosen is None:
        raise NotRetirable(f"there is no key {kid}")
    rest = [state for state in states if state is not chosen]
    if not any(state.key.algorithm == policy.algorithm for state in rest):
        raise NotRetirable(f"{kid} is the only key to sign with: make another one first")
    if chosen.state != "retirable" and not force:
        words = describe(chosen, policy)
        raise NotRetirable(f"{kid} is still needed: {words} (--force has its tokens refused at once)")
    (folder / chosen.key.file_name).unlink()


def describe(state: KeyState, policy: KeyPolicy) -> str:
    """Return a key's state in words."""
    match state.state:
        case "next":
            return f"signs from {_moment(state.key.created_at + policy.delay)}"
        case "signing":
            return f"signs until {_moment(state.until)}" if state.until else "signs"
        case "verifying" if state.until:
            return f"verifies; its last token ends at {_moment(state.until)}"
        case "verifying":
            return f"verifies; TOKEN_ALGORITHM is {policy.algorithm}"
        case "retirable":
            return "can be retired"


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
