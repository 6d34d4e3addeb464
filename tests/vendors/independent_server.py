"""A small server of Yunpian's API, made from public documents; it shares nothing with the simulator.

Sources: yunpian.com/official/document/sms (domestic_single_send, voicecode_list, domestic_sms_record,
domestic_pull_status, user_get, returnvalue_example). It checks a request as these pages describe it, and
answers with what a test has put there.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

API_KEY = "9b11127a9701975c734b8aee81ee3526"
PATHS = {
    "/v2/sms/single_send.json": {"mobile", "text"},
    "/v2/voice/send.json": {"mobile", "code"},
    "/v2/sms/get_record.json": {"start_time", "end_time"},
    "/v2/sms/pull_status.json": set[str](),
    "/v2/voice/pull_status.json": set[str](),
    "/v2/user/get.json": set[str](),
}


@dataclass(frozen=True)
class Received:
    """A request: its path, its body as it came, and the form in it."""

    path: str
    body: str
    form: dict[str, str]


@dataclass
class IndependentYunpian:
    """What was received, and what is answered next, by path."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: defaultdict[str, list[tuple[int, bytes]]] = field(default_factory=lambda: defaultdict(list))

    def answer(self, path: str, body: str | dict[str, Any] | list[Any], status: int = 200) -> None:
        """Answer the next request to a path."""
        content = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        self.answers[path].append((status, content.encode()))


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, yunpian: IndependentYunpian) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.yunpian = yunpian


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._send(400, b'{"http_status_code":400,"code":11}')

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode("ascii")
        form = dict(parse_qsl(body, strict_parsing=True, encoding="utf-8", errors="strict"))
        self.server.yunpian.received.append(Received(self.path, body, form))
        if problem := self._problem(form):
            self._send(400, json.dumps({"http_status_code": 400, **problem}).encode())
        else:
            self._send(*self.server.yunpian.answers[self.path].pop(0))

    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""

    def _problem(self, form: dict[str, str]) -> dict[str, object] | None:
        media_type, _, charset = self.headers["Content-Type"].partition(";")
        is_form = media_type.strip() == "application/x-www-form-urlencoded"
        is_utf8 = charset.strip().lower() in {"", "charset=utf-8"}
        if not is_form or not is_utf8 or "application/json" not in self.headers["Accept"]:
            return {"code": 14, "msg": "解码失败", "detail": "请确认内容编码是否设置正确"}
        missing = ({"apikey"} | PATHS[self.path]) - {name for name, value in form.items() if value}
        if missing:
            return {"code": 1, "msg": "请求参数缺失", "detail": f"参数 {min(missing)} 必须传入"}
        if form["apikey"] != API_KEY:
            return {"code": -1, "msg": "非法的apikey", "detail": "请检查您的apikey是否正确"}
        return None

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json;charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_server() -> Iterator[IndependentYunpian]:
    """Run the server in a thread."""
    yunpian = IndependentYunpian()
    server = _Server(yunpian)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yunpian.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield yunpian
    server.shutdown()
    server.server_close()
    thread.join()
