"""What stands for numbers and addresses."""

from services.auth.keyed_hash import KeyedHash

MOBILE = "13800000000"
KEYED_HASH = KeyedHash("s" * 32)


def test_no_hash_holds_the_number() -> None:
    for hashed in (
        KEYED_HASH.mobile(MOBILE),
        KEYED_HASH.name("account", MOBILE),
        KEYED_HASH.audit_mobile(MOBILE),
        KEYED_HASH.challenge_subject(MOBILE),
    ):
        assert MOBILE not in hashed
        assert len(hashed) == 32


def test_each_use_has_a_hash_of_its_own() -> None:
    hashes = {
        KEYED_HASH.mobile(MOBILE),
        KEYED_HASH.name("account", MOBILE),
        KEYED_HASH.name("address", MOBILE),
        KEYED_HASH.audit_mobile(MOBILE),
        KEYED_HASH.challenge_subject(MOBILE),
    }
    assert len(hashes) == 5


def test_stored_hashes_are_found_by_every_version() -> None:
    """The values are in Redis and in the audit trail: another derivation would lose them."""
    assert KEYED_HASH.mobile(MOBILE) == "4dc3918c8bc1f0f44a55e1c1266b83d4"
    assert KEYED_HASH.name("address", "192.0.2.1") == "872dc9f90fb3965831339cd3e380155d"
    assert KEYED_HASH.audit_mobile(MOBILE) == "5be21c8e944ffe5ec10aa4f7be0a12aa"
    assert KEYED_HASH.challenge_subject(MOBILE) == "fc7654fda213785c05732fdc7a75af55"
