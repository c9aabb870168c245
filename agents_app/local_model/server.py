"""The model's own process: `python -m agents_app.local_model.server`.

Standard input brings one line of JSON, the job, and then stays open for as long as the parent lives; standard output
gets one line of JSON with the address. The key goes through the pipe, so that no process list shows it.
"""

import json
import os
import sys
import threading
from typing import Any

from .leash import die_at_end_of, die_with_parent

# The server looks for a cancelled request between two batches, and one thread reads about 60 tokens a second: 32 make
# a cancel free the slot in half a second, for a tenth of the reading speed.
BATCH = 32
# Every streamed answer holds one thread while it waits its turn, and /health must still find one.
HTTP_THREADS = 128


def parameters(job: dict[str, Any]) -> Any:
    """The job as the model library wants it."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = job["path"]
    params.model_alias = {job["model"]}
    params.hostnames = ["127.0.0.1"]
    params.api_keys = [job["key"]]
    params.n_parallel = job["slots"]
    params.n_ctx = job["slots"] * job["context"]
    params.n_predict = job["max_output"]
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = job["threads"]
    params.n_batch = params.n_ubatch = BATCH
    params.n_threads_http = HTTP_THREADS
    params.cache_ram_mib = 0  # its default of 8 GB of old prompts is no embedded model's due
    params.ui = params.endpoint_slots = False
    params.n_gpu_layers = 0
    params.verbosity = 0
    return params


def quiet_stdout() -> int:
    """Keep the pipe to the parent for ourselves: whatever the library prints goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    return answer


def main() -> None:
    """Serve until the parent closes the pipe or dies."""
    answer = quiet_stdout()
    job = json.loads(sys.stdin.buffer.readline())
    die_with_parent(job["parent"])
    die_at_end_of(sys.stdin.fileno())
    import xllamacpp

    server = xllamacpp.Server(parameters(job))
    os.write(answer, json.dumps({"url": f"{server.listening_address}/v1"}).encode() + b"\n")
    threading.Event().wait()


if __name__ == "__main__":
    main()
