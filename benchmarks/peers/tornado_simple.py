"""A Tornado handler with Tornado's simple client, which opens a connection per request."""

from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders
from tornado.web import Application, RequestHandler

from benchmarks.peers.common import end_to_end, serve


class Handler(RequestHandler):
    def initialize(self, client: AsyncHTTPClient, upstream: str) -> None:
        self.client = client
        self.upstream = upstream

    async def post(self) -> None:
        request = self.request
        headers = HTTPHeaders()
        for name, value in end_to_end(request.headers.get_all()):
            headers.add(name, value)
        url = self.upstream + (request.uri or "/")
        response = await self.client.fetch(
            url, method="POST", headers=headers, body=request.body, raise_error=False
        )
        self.set_status(response.code, response.reason)
        for name, value in end_to_end(response.headers.get_all()):
            self.set_header(name, value)
        self.finish(response.body)


async def start(port: int, upstream: str) -> HTTPServer:
    AsyncHTTPClient.configure("tornado.simple_httpclient.SimpleAsyncHTTPClient", max_clients=256)
    arguments = {"client": AsyncHTTPClient(), "upstream": upstream}
    application = Application([(r"/.*", Handler, arguments)], log_function=lambda _: None)
    return application.listen(port, "127.0.0.1")


if __name__ == "__main__":
    serve(start)
