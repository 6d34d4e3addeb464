"""What every response of auth and of the SMS worker's webhook carries."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from tornado.web import Application

from deploy.local.ports import LOOPBACK, free_port
from shared.errors import NotFound
from shared.http.problem_handler import ProblemHandler
from shared.http.server import DrainableServer


class Endpoint(ProblemHandler):
    content_type = "application/json"
    route = "/"

    def get(self) -> None:
        match self.request.path:
            case "/unknown":
                raise NotFound
            case "/defect":
                raise ZeroDivisionError
        self.finish("{}")


@pytest.fixture
async def url() -> AsyncIterator[str]:
    server = DrainableServer(Application([(".*", Endpoint)]), free_port())
    yield f"http://{LOOPBACK}:{server.port}"
    await server.close()


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/unknown", 404), ("/defect", 500)])
async def test_every_response_has_the_security_headers(
    session: aiohttp.ClientSession, url: str, path: str, status: int
) -> None:
    async with session.get(url + path) as response:
        assert response.status == status
        assert response.headers.getall("Strict-Transport-Security") == ["max-age=31536000"]
        assert response.headers.getall("X-Content-Type-Options") == ["nosniff"]
        assert response.headers.getall("Cross-Origin-Opener-Policy") == ["same-origin"]
        (policy,) = response.headers.getall("Content-Security-Policy")
        assert policy.startswith("default-src 'none'")
