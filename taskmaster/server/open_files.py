"""How many files and connections this process may have open."""

import contextlib
import resource

# A process has no use for more, and a child that closes every number it might have inherited takes long over millions.
ENOUGH = 65_536


def raise_limit() -> None:
    """Raise the soft limit, which is 1,024 mostly, as far as the hard one lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has another limit beside these
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
