"""A stand-in for the model library: the same calls, no model. A weights file called broken* does not load."""

import json
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace


def CommonParams() -> SimpleNamespace:
    """All the parameters that are asked of it."""
    return SimpleNamespace(
        model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace(), model_alias=set()
    )


class Handler(BaseHTTPRequestHandler):
    """Healthy, and able to tell what it was started with."""

    def do_GET(self) -> None:
        """Answer /health and /job."""
        p = self.server.params
        body = {"pid": os.getpid(), "path": p.model.path, "model": sorted(p.model_alias), "keys": p.api_keys}
        body |= {"slots": p.n_parallel, "context": p.n_ctx, "threads": p.cpuparams.n_threads, "hosts": p.hostnames}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *args: object) -> None:
        """Nothing."""


class Server:
    """Serves as soon as it is made."""

    def __init__(self, params: SimpleNamespace) -> None:
        print("loading, as libraries say on standard output", flush=True)
        if "broken" in params.model.path:
            sys.exit("this is no model")
        http = ThreadingHTTPServer((params.hostnames[0], 0), Handler)
        http.params = params
        self.listening_address = f"http://127.0.0.1:{http.server_address[1]}"
        threading.Thread(target=http.serve_forever, daemon=True).start()
