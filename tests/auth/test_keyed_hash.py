import pytest

from services.auth.keyed_hash import CodeSecrets, new_nonce

SECRET = "s" * 32
MOBILE = "13800000000"


def test_the_same_nonce_gives_the_same_code_again() -> None:
    first, second = CodeSecrets(SECRET, 6), CodeSecrets(SECRET, 6)
    assert first.code(MOBILE, "register", "n") == second.code(MOBILE, "register", "n")


@pytest.mark.parametrize("length", [4, 6, 8])
def test_codes_have_the_set_number_of_digits(length: int) -> None:
    secrets = CodeSecrets(SECRET, length)
    codes = [secrets.code(MOBILE, "register", new_nonce()) for _ in range(200)]
    assert all(len(code) == length and code.isdecimal() for code in codes)


def test_codes_are_spread_over_their_range() -> None:
    secrets = CodeSecrets(SECRET, 4)
    codes = [secrets.code(MOBILE, "register", new_nonce()) for _ in range(20_000)]
    # Of 10,000 codes about 8,647 are expected to occur; leading zeros among them.
    assert 8_450 < len(set(codes)) < 8_850
    assert any(code.startswith("0") for code in codes)


def test_a_proof_is_bound_to_number_purpose_code_and_secret() -> None:
    proofs = {
        CodeSecrets(SECRET, 6).proof(MOBILE, "register", "123456"),
        CodeSecrets(SECRET, 6).proof("13800000001", "register", "123456"),
        CodeSecrets(SECRET, 6).proof(MOBILE, "login", "123456"),
        CodeSecrets(SECRET, 6).proof(MOBILE, "register", "123457"),
        CodeSecrets("t" * 32, 6).proof(MOBILE, "register", "123456"),
    }
    assert len(proofs) == 5


def test_the_name_of_a_key_does_not_hold_the_number() -> None:
    assert MOBILE not in CodeSecrets(SECRET, 6).key(MOBILE)
