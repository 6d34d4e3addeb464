"""The setting of services that decide about calls."""

from typing import Annotated

from pydantic import AfterValidator, Field

from shared.settings import ServiceSettings
from shared.voice import VoiceHours


def _check_hours(value: str) -> str:
    return str(VoiceHours.parse(value))


class VoiceSettings(ServiceSettings):
    """When numbers are called."""

    voice_hours: Annotated[str, AfterValidator(_check_hours)] = Field(
        "07:30-22:00", description="when mainland numbers are called, China time; 00:00-24:00 for always"
    )
