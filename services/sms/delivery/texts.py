"""The texts of messages."""

from collections.abc import Callable, Mapping

from shared.contracts.messages import Purpose, SendCode, SendNotice


def text_composer(
    signature: str, template: str, by_purpose: Mapping[Purpose, str] | None = None
) -> Callable[[SendCode], str]:
    """Return a function that composes a message's text, always the same for one message."""
    templates = by_purpose or {}

    def compose(message: SendCode) -> str:
        if isinstance(message, SendNotice):
            return f"【{signature}】{message.text}"
        return f"【{signature}】{templates.get(message.purpose, template).format(code=message.code)}"

    return compose
