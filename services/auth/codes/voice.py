"""Whether a code can be read out by a call, decided before anything is taken or sent."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.auth.errors import VoiceUnavailable
from shared.voice import SPOKEN_DIGITS, VoiceHours

# A call that is asked for in the last moments before the night would be refused by the worker.
_LEAD = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class VoicePolicy:
    """What the provider of calls allows.

    Attributes:
        hours: when mainland numbers are called.
        code_length: digits of a code.
    """

    hours: VoiceHours
    code_length: int

    @classmethod
    def parse(cls, hours: str, code_length: int) -> "VoicePolicy":
        """Return the policy of settings."""
        return cls(VoiceHours.parse(hours), code_length)

    def check(self, mobile: str, at: datetime) -> None:
        """Check that a canonical number can be called at a time.

        Raises:
            VoiceUnavailable: calls do not read codes of this length, or the number is not called now.
        """
        if self.code_length not in SPOKEN_DIGITS:
            raise VoiceUnavailable.code_too_long()
        for moment in (at, at + _LEAD):
            opening = self.hours.opening(mobile, moment)
            if opening > moment:
                raise VoiceUnavailable.until(self.hours, at, opening)
