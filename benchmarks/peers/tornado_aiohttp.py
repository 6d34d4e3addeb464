"""A Tornado handler with aiohttp's client."""

from aiohttp import ClientSession, DummyCookieJar, TCPConnector
from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from benchmarks.peers.common import end_to_end, serve


class Handler(RequestHandler):
    def initialize(self, session: ClientSession, upstream: str) -> None:
        self.session = session
        self.upstream = upstream

    async def post(self) -> None:
        request = self.request
        url = self.upstream + (request.uri or "/")
        headers = end_to_end(request.headers.get_all())
        async with self.session.post(url, data=request.body, headers=headers) as response:
            body = await response.read()
        self.set_status(response.status, response.reason)
        for name, value in end_to_end(response.headers.items()):
            self.set_header(name, value)
        self.finish(body)


async def start(port: int, upstream: str) -> HTTPServer:
    session = ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
    )
    arguments = {"session": session, "upstream": upstream}
    application = Application([(r"/.*", Handler, arguments)], log_function=lambda _: None)
    return application.listen(port, "127.0.0.1")


if __name__ == "__main__":
    serve(start)
