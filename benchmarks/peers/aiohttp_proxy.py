"""aiohttp's server with aiohttp's client."""

from aiohttp import ClientSession, DummyCookieJar, TCPConnector, web

from benchmarks.peers.common import end_to_end, serve


async def start(port: int, upstream: str) -> web.AppRunner:
    session = ClientSession(
        connector=TCPConnector(limit=0), cookie_jar=DummyCookieJar(), auto_decompress=False
    )

    async def forward(request: web.Request) -> web.Response:
        body = await request.read()
        headers = end_to_end(request.headers.items())
        url = upstream + request.path_qs
        async with session.request(request.method, url, data=body, headers=headers) as response:
            answer = await response.read()
            return web.Response(
                status=response.status, headers=end_to_end(response.headers.items()), body=answer
            )

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", forward)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


if __name__ == "__main__":
    serve(start)
