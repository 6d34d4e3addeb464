"""Codes are derived from nonces."""

import pytest

from services.auth.codes.generator import CodeGenerator, new_nonce
from services.auth.keyed_hash import KeyedHash

SECRET = "s" * 32
MOBILE = "13800000000"


def make(length: int = 6, secret: str = SECRET) -> CodeGenerator:
    return CodeGenerator(KeyedHash(secret), length)


def test_the_same_nonce_gives_the_same_code_again() -> None:
    assert make().code(MOBILE, "register", "n") == make().code(MOBILE, "register", "n")


@pytest.mark.parametrize("length", [4, 6, 8])
def test_codes_have_the_set_number_of_digits(length: int) -> None:
    codes = [make(length).code(MOBILE, "register", new_nonce()) for _ in range(200)]
    assert all(len(code) == length and code.isdecimal() for code in codes)


def test_codes_are_spread_over_their_range() -> None:
    generator = make(4)
    codes = [generator.code(MOBILE, "register", new_nonce()) for _ in range(20_000)]
    # Of 10,000 codes about 8,647 are expected to occur; leading zeros among them.
    assert 8_450 < len(set(codes)) < 8_850
    assert any(code.startswith("0") for code in codes)


def test_a_proof_is_bound_to_number_purpose_code_and_secret() -> None:
    proofs = {
        make().proof(MOBILE, "register", "123456"),
        make().proof("13800000001", "register", "123456"),
        make().proof(MOBILE, "login", "123456"),
        make().proof(MOBILE, "register", "123457"),
        make(secret="t" * 32).proof(MOBILE, "register", "123456"),
    }
    assert len(proofs) == 5
