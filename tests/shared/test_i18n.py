import pytest

from shared.i18n import Text, negotiate


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("zh-Hant-TW", "zh"),
        ("en-US,en;q=0.9,zh;q=0.8", "en"),
        ("fr, zh;q=0.5", "zh"),
        ("fr", "en"),
        ("zh;q=0", "en"),
        ("zh;q=nonsense, en;q=0.1", "en"),
        ("zh;q=0.3, *;q=0.5", "en"),
        ("," * 10_000, "en"),
    ],
)
def test_the_preferred_supported_language_is_chosen(header: str, language: str) -> None:
    assert negotiate(header) == language


def test_placeholders_are_filled_in_both_languages() -> None:
    filled = Text("at most {n}", "最多 {n}").fill(n=5)
    assert (filled.in_language("en"), filled.in_language("zh")) == ("at most 5", "最多 5")
