"""Django behind the edge: a request's bytes in, a finished response out, in a thread of the fixed pool.

Django's own ASGI handler makes a thread for every request; handing the request to its synchronous handler in a fixed
pool is several times as fast and keeps the database connections few.
"""

import io
from typing import IO, Any

from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIRequest
from django.core.signals import request_started
from django.http import HttpResponse
from django.http.response import HttpResponseBase

from taskmaster.api.downloads import Download
from taskmaster.api.envelope import refusal
from taskmaster.api.exceptions import translate

Scope = dict[str, Any]


class DjangoHandler(BaseHandler):
    """Django's middleware and views, loaded once."""

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware()

    def answer(self, scope: Scope, body: IO[bytes], body_over: int) -> HttpResponseBase:
        """The response to one request, its content complete or a file; `body_over` is the limit that it was over."""
        environ = environ_of(scope, body)
        environ["taskmaster.body_over"] = body_over
        request_started.send(sender=type(self), environ=environ)
        try:
            response = self.get_response(WSGIRequest(environ))
        except Exception as error:
            response = refusal(translate(error))
        if isinstance(response, Download):
            response.keep_open()
        elif response.streaming:
            # Only the admin's files: small, and known.
            response = _whole(response)
        response.close()
        return response


def _whole(response: HttpResponseBase) -> HttpResponse:
    chunks = getattr(response, "streaming_content", ())
    whole = HttpResponse(b"".join(chunks), status=response.status_code)
    whole.headers = response.headers
    whole.cookies = response.cookies
    response.close()
    return whole


def environ_of(scope: Scope, body: IO[bytes]) -> dict[str, Any]:
    """The WSGI environment of an ASGI scope (PEP 3333: header bytes as Latin-1)."""
    length = body.seek(0, io.SEEK_END)
    body.seek(0)
    server = scope.get("server") or ("localhost", 80)
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope.get('http_version', '1.1')}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": io.StringIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    # What was read, whatever was announced.
    environ["CONTENT_LENGTH"] = str(length)
    return environ
