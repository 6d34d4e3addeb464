"""Calls yunpian-python-sdk as its users do; a process of its own, with nothing but the SDK's packages.

Reads `{"url", "key", "calls": [[api, method, parameters], …]}`, writes what the SDK's `Result`s say.
"""

import json
import sys
from typing import Any

from yunpian_python_sdk.ypclient import YunpianClient


def main() -> None:
    """Make the calls."""
    order = json.load(sys.stdin)
    hosts = {f"yp.{name}.host": order["url"] for name in ("user", "sign", "tpl", "sms", "voice", "flow")}
    client = YunpianClient(order["key"], hosts)
    json.dump([call(client, *wanted) for wanted in order["calls"]], sys.stdout)


def call(client: Any, api: str, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return what the result of one call says."""
    result = getattr(getattr(client, api)(), method)(parameters)
    return {
        "code": result.code(),
        "msg": result.msg(),
        "detail": result.detail(),
        "data": result.data(),
        "exception": repr(result.exception()) if result.exception() else None,
    }


main()
