"""What an operator sees of the signing keys, and may remove."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from services.auth.tokens.key_ring import KeyPolicy
from services.auth.tokens.rotation import NotRetirable, describe, folder_states, retire
from services.auth.tokens.signing_keys import SigningKey, create_key
from tests.support.clock import NOW

POLICY = KeyPolicy("ES256", timedelta(minutes=10))
TTL = timedelta(minutes=15)
DAY = timedelta(days=1)


@pytest.fixture
def old(tmp_path: Path) -> SigningKey:
    return create_key(tmp_path, "ES256", NOW)


@pytest.fixture
def new(tmp_path: Path, old: SigningKey) -> SigningKey:
    return create_key(tmp_path, "ES256", NOW + DAY)


def states(folder: Path, now: datetime) -> dict[str, str]:
    return {state.key.kid: state.state for state in folder_states(folder, POLICY, TTL, now)}


def test_a_key_goes_from_next_over_signing_and_verifying_to_retirable(
    tmp_path: Path, old: SigningKey, new: SigningKey
) -> None:
    assert states(tmp_path, NOW + DAY) == {old.kid: "signing", new.kid: "next"}
    signs_from = NOW + DAY + POLICY.delay
    assert states(tmp_path, signs_from) == {old.kid: "verifying", new.kid: "signing"}
    tokens_gone = signs_from + TTL + timedelta(seconds=5)
    assert states(tmp_path, tokens_gone - timedelta(seconds=1))[old.kid] == "verifying"
    assert states(tmp_path, tokens_gone) == {old.kid: "retirable", new.kid: "signing"}


@pytest.mark.usefixtures("old", "new")
def test_the_states_are_described_with_their_times(tmp_path: Path) -> None:
    words = [describe(state, POLICY) for state in folder_states(tmp_path, POLICY, TTL, NOW + DAY)]
    assert words == ["signs until 2026-01-03 03:14:05 UTC", "signs from 2026-01-03 03:14:05 UTC"]


def test_a_key_that_nothing_needs_is_removed(tmp_path: Path, old: SigningKey, new: SigningKey) -> None:
    retire(tmp_path, old.kid, POLICY, TTL, NOW + 2 * DAY, force=False)
    assert states(tmp_path, NOW + 2 * DAY) == {new.kid: "signing"}


@pytest.mark.parametrize("after", [DAY, DAY + POLICY.delay, DAY + POLICY.delay + TTL])
def test_a_key_whose_tokens_are_valid_stays_unless_forced(
    tmp_path: Path, old: SigningKey, new: SigningKey, after: timedelta
) -> None:
    with pytest.raises(NotRetirable, match="still needed"):
        retire(tmp_path, old.kid, POLICY, TTL, NOW + after, force=False)
    retire(tmp_path, old.kid, POLICY, TTL, NOW + after, force=True)
    assert states(tmp_path, NOW + after) == {new.kid: "signing"}


@pytest.mark.parametrize("force", [False, True])
def test_the_last_key_to_sign_with_stays(tmp_path: Path, old: SigningKey, force: bool) -> None:  # noqa: FBT001
    create_key(tmp_path, "RS256", NOW)
    with pytest.raises(NotRetirable, match="only key"):
        retire(tmp_path, old.kid, POLICY, TTL, NOW + DAY, force=force)


def test_a_key_of_another_algorithm_goes_only_by_force(tmp_path: Path, old: SigningKey) -> None:
    other = create_key(tmp_path, "RS256", NOW - DAY)
    with pytest.raises(NotRetirable, match="TOKEN_ALGORITHM is ES256"):
        retire(tmp_path, other.kid, POLICY, TTL, NOW + DAY, force=False)
    retire(tmp_path, other.kid, POLICY, TTL, NOW + DAY, force=True)
    assert states(tmp_path, NOW + DAY) == {old.kid: "signing"}


@pytest.mark.usefixtures("old")
def test_an_unknown_key_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotRetirable, match="there is no key"):
        retire(tmp_path, "other", POLICY, TTL, NOW, force=False)
