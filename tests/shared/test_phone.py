import pytest

from shared.phone import InvalidMobile, mask_mobile, parse_mobile


@pytest.mark.parametrize(
    "text", ["13800000000", "+8613800000000", "138 0000 0000", "+86 138-0000-0000", " 13800000000 "]
)
def test_a_mainland_number_has_one_canonical_form(text: str) -> None:
    assert parse_mobile(text, {"CN"}) == "13800000000"


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "12800000000", "1380000000", "138000000000", "861380000000", "00861380000000",
        "١٣٨٠٠٠٠٠٠٠٠", "1380000000\u0660", "１３８０００００００", "1380000000\n", "+86+8613800000000",
        "13800000000;14155552671", "+14155552671", "+", "+86", "a" * 70_000, "1" * 70_000,
    ],
)  # fmt: skip
def test_other_texts_are_not_mainland_numbers(text: str) -> None:
    with pytest.raises(InvalidMobile):
        parse_mobile(text, {"CN"})


def test_a_number_of_an_allowed_region_is_e164() -> None:
    assert parse_mobile("+1 415-555-2671", {"CN", "US"}) == "+14155552671"


@pytest.mark.parametrize("text", ["+14155552671", "+442071838750", "+1415555267", "+999123456789"])
def test_a_number_outside_the_allowed_regions_is_rejected(text: str) -> None:
    with pytest.raises(InvalidMobile):
        parse_mobile(text, {"CN", "HK"})


def test_a_mainland_number_is_rejected_if_the_region_is_not_allowed() -> None:
    with pytest.raises(InvalidMobile):
        parse_mobile("13800000000", {"US"})


@pytest.mark.parametrize(
    ("mobile", "masked"), [("13800000000", "138****0000"), ("+14155552671", "+14****2671"), ("123", "***")]
)
def test_masking_hides_the_middle(mobile: str, masked: str) -> None:
    assert mask_mobile(mobile) == masked
