"""A Tornado handler without an upstream."""

from tornado.httpserver import HTTPServer
from tornado.web import Application, RequestHandler

from benchmarks.candidates import ANSWER
from benchmarks.peers.common import serve


class Handler(RequestHandler):
    def post(self) -> None:
        self.set_header("Content-Type", "application/json")
        self.finish(ANSWER)


async def start(port: int, _upstream: str) -> HTTPServer:
    application = Application([(r"/.*", Handler)], log_function=lambda _: None)
    return application.listen(port, "127.0.0.1")


if __name__ == "__main__":
    serve(start)
