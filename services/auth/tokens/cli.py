"""The commands for signing keys: `python -m services.auth key --help`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from services.auth.settings import KeySettings, TokenSettings
from services.auth.tokens import rotation as key_rotation
from services.auth.tokens import signing_keys
from services.auth.tokens.key_ring import KeyPolicy, NoSigningKey
from services.auth.tokens.rotation import NotRetirable
from services.auth.tokens.signing_keys import UnusableKey
from shared.clock import now

key_cli = typer.Typer(no_args_is_help=True, help="Signing keys: make, list, retire. No restart is needed.")

Folder = Annotated[Path | None, typer.Option(help="Instead of SIGNING_KEYS_DIR.")]


@key_cli.command("create")
def create_key(
    folder: Folder = None,
    if_none: Annotated[bool, typer.Option(help="Only where there is none to sign with.")] = False,  # noqa: FBT002
) -> None:
    """Make a key for TOKEN_ALGORITHM. It is published at once and signs after SIGNING_KEY_DELAY."""
    settings, folder = _settings(folder)
    algorithm = settings.token_algorithm
    with _errors_in_a_line():
        if if_none and any(key.algorithm == algorithm for key in signing_keys.load_keys(folder)):
            return
        typer.echo(signing_keys.create_key(folder, algorithm, now()).kid)


@key_cli.command("list")
def list_keys(folder: Folder = None) -> None:
    """List the keys: which signs, which is next, and when the old ones can be retired."""
    settings, folder = _settings(folder)
    policy, ttl = _policy(settings)
    with _errors_in_a_line():
        for state in key_rotation.folder_states(folder, policy, ttl, now()):
            words = [key_rotation.describe(state, policy), state.key.weakness]
            typer.echo(f"{state.key.kid}  {state.key.algorithm}  {'; '.join(filter(None, words))}")


@key_cli.command("retire")
def retire_key(
    kid: Annotated[str, typer.Argument(help="The key's id, as listed.")],
    folder: Folder = None,
    force: Annotated[bool, typer.Option(help="Have its tokens refused at once.")] = False,  # noqa: FBT002
) -> None:
    """Remove a key. Refused while tokens that it signed are valid."""
    settings, folder = _settings(folder)
    policy, ttl = _policy(settings)
    with _errors_in_a_line():
        key_rotation.retire(folder, kid, policy, ttl, now(), force=force)


def _settings(folder: Path | None) -> tuple[TokenSettings, Path]:
    if folder is not None:
        return TokenSettings.load(), folder
    settings = KeySettings.load("auth")
    return settings, settings.signing_keys_dir


def _policy(settings: TokenSettings) -> tuple[KeyPolicy, timedelta]:
    policy = KeyPolicy(settings.token_algorithm, timedelta(seconds=settings.signing_key_delay))
    return policy, timedelta(seconds=settings.access_token_ttl)


@contextmanager
def _errors_in_a_line() -> Iterator[None]:
    """Print the message of an expected error and exit with status 1."""
    try:
        yield
    except (NoSigningKey, NotRetirable, UnusableKey) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        typer.echo(f"the folder of keys: {error.strerror}", err=True)
        raise typer.Exit(1) from error
