"""The commands for signing keys, run as an operator runs them."""

from pathlib import Path

import pytest

from tests.auth.test_commands import attempt


@pytest.fixture(name="env")
def _env(tmp_path: Path) -> dict[str, str]:
    return {"SIGNING_KEYS_DIR": str(tmp_path / "keys")}


def key(*command: str, env: dict[str, str]) -> list[str]:
    done = attempt("services.auth", "key", *command, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "EdDSA", "HS256"])
def test_a_key_is_made_for_the_algorithm_and_listed(env: dict[str, str], algorithm: str) -> None:
    env["TOKEN_ALGORITHM"] = algorithm
    (kid,) = key("create", env=env)
    assert key("list", env=env) == [f"{kid}  {algorithm}  signs"]
    assert len(list(Path(env["SIGNING_KEYS_DIR"]).iterdir())) == 1


def test_a_key_is_made_only_where_there_is_none_for_the_algorithm(env: dict[str, str]) -> None:
    assert len(key("create", "--if-none", env=env)) == 1
    assert key("create", "--if-none", env=env) == []
    assert len(key("create", "--if-none", env=env | {"TOKEN_ALGORITHM": "HS256"})) == 1


def test_a_key_is_retired_when_its_tokens_are_gone(env: dict[str, str]) -> None:
    env |= {"SIGNING_KEY_DELAY": "0"}
    (first,) = key("create", env=env)
    refused = attempt("services.auth", "key", "retire", first, **env)
    assert (refused.returncode, refused.stderr) == (
        1, f"{first} is the only key to sign with: make another one first\n",
    )  # fmt: skip
    (second,) = key("create", env=env)
    refused = attempt("services.auth", "key", "retire", first, **env)
    assert refused.returncode == 1
    assert "still needed" in refused.stderr
    key("retire", first, "--force", env=env)
    assert key("list", env=env) == [f"{second}  ES256  signs"]


def test_another_folder_needs_no_setting(tmp_path: Path) -> None:
    (kid,) = key("create", "--folder", str(tmp_path / "new"), env={})
    assert [path.name for path in (tmp_path / "new").iterdir()] == [f"{kid}.pem"]


@pytest.mark.parametrize("command", [["list"], ["retire", "x"]])
def test_a_folder_without_keys_is_said_so_in_a_line(env: dict[str, str], command: list[str]) -> None:
    done = attempt("services.auth", "key", *command, **env)
    assert done.returncode == 1
    assert done.stderr.startswith("SIGNING_KEYS_DIR holds no key for ES256")
    assert len(done.stderr.splitlines()) == 1
