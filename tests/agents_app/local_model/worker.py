"""A worker process that takes part in running the embedded model: `worker.py <data folder>`."""

import sys
import time
from pathlib import Path

from agents_app.local_model import LocalModel, LocalModelSettings

from .running import COMMAND, tiny_weights

model = LocalModel(LocalModelSettings(Path(sys.argv[1])), command=COMMAND, fetch=tiny_weights)
model.start()
while True:
    time.sleep(1)
