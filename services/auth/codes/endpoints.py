"""`/code/`: requesting a code, and the state of its message."""

from services.auth import errors
from services.auth.codes.schemas import CodeRequest, CodeResponse, CodeStatusResponse
from services.auth.codes.service import CodeService
from services.auth.http.handler import JsonHandler, Operation, Routes
from shared.errors import NotFound

_TAG = "Codes"


class CodeHandler(JsonHandler[CodeService]):
    """`POST /code/`."""

    @Operation(
        _TAG,
        request=CodeRequest,
        problems=(
            errors.VoiceUnavailable,
            errors.TooManyCodes,
            errors.ChallengeRequired,
            errors.SmsUnavailable,
        ),
        note="Answers alike whether or not the number has an account. After `challenge-required`, the same "
        "request is made again with the solved challenge. Calls read out codes of up to 6 digits, and "
        "mainland numbers are only called in the daytime: else `channel: voice` is `voice-unavailable`, with "
        "`retry_after` where it is the time of day, and nothing is counted.",
    )
    async def handle_post(self) -> CodeResponse:
        """Send a code."""
        body = self.body(CodeRequest)
        requested = await self.service.request(
            body.mobile, body.purpose, self.client, channel=body.channel, challenge=body.challenge
        )
        return CodeResponse.model_validate(requested)


class CodeStatusHandler(JsonHandler[CodeService]):
    """`GET /code/{message_id}/`."""

    @Operation(_TAG, problems=(NotFound,))
    async def handle_get(self, message_id: str) -> CodeStatusResponse:
        """Return the state of a message."""
        return CodeStatusResponse.of(message_id, await self.service.status(message_id))


ROUTES: Routes = [
    (r"/code/?", "/code/", CodeHandler),
    (r"/code/([0-9a-f]{32})/?", "/code/{message_id}/", CodeStatusHandler),
]
