"""A small ASGI application under our server, started as a process of its own with its options as JSON."""

import asyncio
import hashlib
import json
import re
import sys
import time
from typing import Any

from taskmaster.server.daphne import run_server
from taskmaster.server.limits import Headers, Limits

facts: dict[str, Any] = {"gone": [], "events": [], "sent": 0, "streams": 0, "parts": []}
closing = asyncio.Event()


async def answer(send: Any, content: Any, status: int = 200) -> None:
    body = json.dumps(content).encode()
    length = (b"Content-Length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    message = await receive()
    ours = scope["extensions"]["taskmaster"]
    if ours["body"] or ours["crowded"]:
        await large(scope, ours, send)
        return
    too_large = ours["body_too_large"]
    facts_of_request = {"method": scope["method"], "path": scope["path"], "root_path": scope["root_path"]}
    content = {"body": len(message["body"]), "more": message["more_body"], "too_large": too_large, **facts_of_request}
    await answer(send, content, 413 if too_large else 200)


async def large(scope: Any, ours: Any, send: Any) -> None:
    """Tell the size and the digest of a body that lies in a file, and whether it is on disk."""
    if ours["crowded"]:
        await answer(send, {}, 503)
        return
    with ours["body"] as body:
        body.seek(0)
        digest = hashlib.file_digest(body, "sha256").hexdigest()
        await answer(send, {"body": body.tell(), "digest": digest, "on disk": body._rolled})


async def slow(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(float(scope["query_string"]))
    await answer(send, "x" * 300_000)


async def wait(scope: Any, receive: Any, send: Any) -> None:
    """Wait for the client to leave, and note how both ways of hearing of it went."""
    scope["extensions"]["taskmaster"]["on_disconnect"](lambda: facts["gone"].append(time.time()))
    while (await receive())["type"] != "http.disconnect":
        pass
    facts["events"].append(time.time())


async def stream(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    facts["streams"] += 1
    try:
        while not closing.is_set():
            await send({"type": "http.response.body", "body": b"tick\n", "more_body": True})
            await asyncio.sleep(0.05)
    finally:
        facts["streams"] -= 1
    await send({"type": "http.response.body", "body": b"last\n"})


async def flood(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(1000):
        await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        facts["sent"] += 100_000
    await send({"type": "http.response.body", "body": b""})


async def parts(scope: Any, receive: Any, send: Any) -> None:
    """Write past send() until nothing is read any more, and the last part once there is room again."""
    written = scope["extensions"]["taskmaster"]["answer"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    note: dict[str, Any] = {"written": 0}
    try:
        while note["written"] < 100_000_000:
            note["room"] = written.write_part(b"x" * 100_000)
            note["written"] += 100_000
            await asyncio.wait_for(written.room(), 0.3)
    except TimeoutError:
        facts["parts"].append(note)
    try:
        await written.room()
    except ConnectionError:
        note["gone"] = (written.is_behind, written.write_part(b"x"))
        raise
    await send({"type": "http.response.body", "body": b"last"})


async def boom(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("a secret")


async def half(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"Content-Length", b"10")]})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("a secret")


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await receive()


async def tell(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, facts)


async def socket(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/never":
        await asyncio.sleep(60)
    if scope["path"] == "/refuse":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    if scope["path"] == "/frames":
        await frames(scope)
    if scope["path"] == "/deaf":
        await asyncio.sleep(60)
    while (message := await receive())["type"] != "websocket.disconnect":
        await converse(message, send)
    facts["closed"] = message["code"]


async def frames(scope: Any) -> None:
    """Number so many frames of such a size, every third one autobahn's own, and close."""
    size, count = map(int, scope["query_string"].split(b","))
    socket, full = scope["extensions"]["taskmaster"]["socket"], 0
    for number in range(count):
        payload = f"{number:06}".ljust(size, ".")
        if number % 3 == 0:
            socket.serverSend(payload)
        else:
            full += not socket.write_frames(b"\x81\x7e" + size.to_bytes(2, "big") + payload.encode())
        if size < 1000:
            await asyncio.sleep(0)
    socket.serverClose(4000)
    try:
        socket.write_frames(b"\x81\x00")
    except ConnectionError:
        facts["frames"] = {"size": size, "full": full, "refused after the close": True}


async def converse(message: Any, send: Any) -> None:
    text = message.get("text", "")
    if text == "boom":
        raise RuntimeError("a secret")
    if text.startswith("close "):
        await send({"type": "websocket.close", "code": int(text[6:])})
    elif text:
        await send({"type": "websocket.send", "text": text})


ROUTES = {f"/{view.__name__}": view for view in (slow, wait, stream, flood, parts, boom, half, silent, tell)}


async def application(scope: Any, receive: Any, send: Any) -> None:
    view = socket if scope["type"] == "websocket" else ROUTES.get(scope["path"], echo)
    await view(scope, receive, send)


def error_body(status: int, code: str, message: str) -> tuple[bytes, Headers]:
    return json.dumps({"code": code, "status": status, "message": message}).encode(), [(b"X-Request-ID", b"req_1")]


def say(*words: Any) -> None:
    print(*words, flush=True)


async def before_close() -> None:
    say("before_close")
    closing.set()


def main() -> None:
    options = json.loads(sys.argv[1])
    bounds = options.pop("limits", {})
    if "large_route" in bounds:
        bounds["large_route"] = re.compile(bounds["large_route"].encode())
    limits = Limits(**bounds)
    run_server(
        application,
        host="127.0.0.1",
        port=options.get("port", 0),
        reuse_port=options.get("reuse_port", False),
        limits=limits,
        error_body=error_body,
        on_loop=lambda loop: say("loop", loop.is_running()),
        on_ready=lambda port: say("ready", port),
        on_drain=lambda: say("drain"),
        before_close=before_close,
    )


if __name__ == "__main__":
    main()
