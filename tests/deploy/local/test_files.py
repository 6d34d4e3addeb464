from pathlib import Path

import pytest

from deploy.local.errors import LocalError, tail
from deploy.local.files import hold_lock, read_or_create


def test_a_secret_is_created_once(tmp_path: Path) -> None:
    made = iter(["first", "second"])
    assert read_or_create(tmp_path / "deep" / "secret", lambda: next(made)) == "first"
    assert read_or_create(tmp_path / "deep" / "secret", lambda: next(made)) == "first"


def test_a_second_run_in_a_checkout_is_rejected(tmp_path: Path) -> None:
    lock = tmp_path / ".lock"
    with hold_lock(lock), pytest.raises(LocalError, match="already running"), hold_lock(lock):
        pass


def test_the_lock_is_released_after_a_run(tmp_path: Path) -> None:
    with hold_lock(tmp_path / ".lock"):
        pass
    with hold_lock(tmp_path / ".lock"):
        pass


def test_the_end_of_a_log_is_shown_with_its_path(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("one\ntwo\nthree\n")
    assert tail(log, lines=2) == f"  two\n  three\n  (all of it: {log})"
