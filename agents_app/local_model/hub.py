"""Fetches one file from the official model hub, in a process of its own: `… .hub <repo> <file> <folder> <parent>`.

Its own process, because the hub's library cannot be cancelled and takes its settings from the environment.
"""

import sys
from pathlib import Path

from .leash import die_with_parent

SECONDS_TO_ANSWER = 5


def main(repo: str, name: str, folder: str, parent: str) -> None:
    """Ask first without retries, so that a hub out of reach is passed over at once; what was loaded before is kept."""
    die_with_parent(int(parent))
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    get_hf_file_metadata(hf_hub_url(repo, name), token=False, timeout=SECONDS_TO_ANSWER)
    hf_hub_download(repo, name, local_dir=Path(folder), token=False, etag_timeout=SECONDS_TO_ANSWER)


if __name__ == "__main__":
    main(*sys.argv[1:])
