"""What the worker refuses, although it can read it: messages that auth did not seal, and endless ones."""

from datetime import datetime, timedelta

from shared.contracts.messages import SendCode, SendCodeV1, UnreadableMessage

# Twice the largest CODE_TTL, and what the clocks of auth and the worker may differ by. Well below the day
# that the record of a message is kept, so that a message is not sent again when its record has gone.
_MAX_LIFETIME = timedelta(hours=2)
_MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)


def check_sealed(message_type: str | None, *, accept_v1: bool) -> None:
    """Refuse a message of version 1: nothing in it proves that auth has written it.

    Raises:
        UnreadableMessage: it is of version 1, and `accept_v1` is False.
    """
    if message_type == SendCodeV1.TYPE and not accept_v1:
        raise UnreadableMessage(f"unsealed: {message_type} is accepted with SMS_ACCEPT_V1 only")


def check_times(message: SendCode, now: datetime) -> None:
    """Refuse a message whose times no service of ours would set.

    Raises:
        UnreadableMessage: it was created in the future, or expires later than any code does.
    """
    if message.created_at > now + _MAX_CLOCK_DIFFERENCE:
        raise UnreadableMessage("out of bounds: created_at")
    if message.expires_at > now + _MAX_LIFETIME + _MAX_CLOCK_DIFFERENCE:
        raise UnreadableMessage("out of bounds: expires_at")
