"""`python -m bench [figure …] [--quick] [--profile embedded|services|both] [--strict]`: one JSON line a figure."""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

from .figures import FIGURES
from .sizes import FULL, QUICK

SERVICE_VARIABLES = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL")


def arguments() -> argparse.Namespace:
    """The command line."""
    has_services = bool(os.environ.get("DATABASE_URL") and os.environ.get("REDIS_URL"))
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the product beside its baselines.")
    parser.add_argument("figures", nargs="*", metavar="figure", help=f"of {', '.join(FIGURES)}; default: all")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, a few seconds a figure")
    parser.add_argument(
        "--profile", choices=["embedded", "services", "both"], default="both" if has_services else "embedded"
    )
    parser.add_argument("--strict", action="store_true", help="also fail where a target is missed")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := set(given.figures) - set(FIGURES):
        parser.error(f"no such figure: {', '.join(sorted(unknown))}")
    if given.profile != "embedded" and not has_services:
        parser.error("the services profile needs DATABASE_URL and REDIS_URL")
    return given


def every_profile(given: argparse.Namespace) -> int:
    """Each profile in a process of its own, since the environment decides which one it is."""
    failed = 0
    for profile in ("embedded", "services") if given.profile == "both" else (given.profile,):
        bare = {name: value for name, value in os.environ.items() if name not in SERVICE_VARIABLES}
        flags = [flag for flag, on in (("--quick", given.quick), ("--strict", given.strict)) if on]
        command = [sys.executable, "-m", "bench", *given.figures, *flags, "--profile", profile, "--here"]
        child = subprocess.Popen(command, env=bare if profile == "embedded" else None)
        try:
            failed |= child.wait()
        finally:
            child.terminate()  # it ends its servers first
            child.wait(60)
    return failed


def here(given: argparse.Namespace) -> int:
    """Measure in this process's profile. Returns 1 after an error, and with --strict after a missed target."""
    failed = missed = False
    for name in given.figures or FIGURES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            try:
                for result in FIGURES[name](Path(folder), QUICK if given.quick else FULL):
                    print(result.line(given.profile), flush=True)
                    missed |= result.ok is False
            except Exception:
                traceback.print_exc()
                failed = True
    return int(failed or (given.strict and missed))


if __name__ == "__main__":
    given = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(here(given) if given.here else every_profile(given))
