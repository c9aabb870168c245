"""A Codegen agent run as the API tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

from ...base import BackendError, Json
from ..refusals import storable

COMPLETE = frozenset({"COMPLETE", "COMPLETED"})
# The status is a free string. These are the bad ends that are known of; whatever is new is taken for still running.
FAILED = frozenset(
    {"FAILED", "ERROR", "STOPPED", "CANCELLED", "CANCELED", "TIMEOUT", "MAX_ITERATIONS_REACHED", "OUT_OF_TOKENS"}
)
LONGEST_STATUS = 100


def digest(text: str) -> str:
    """By what an answer is known again without being kept."""
    return sha256(text.encode(errors="replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Run:
    """`status` is in capitals; `text` is the result, else the summary; `task_id` whose it is, "" where it is not told.

    `pull_requests` are `{"id", "title", "url", "branch", "createdAt"}`.
    """

    id: int
    status: str = ""
    text: str = ""
    url: str | None = None
    pull_requests: list[dict[str, Json]] = field(default_factory=list)
    task_id: str = ""

    @classmethod
    def of(cls, document: Json) -> "Run":
        """Raises BackendError, a passing one, for what is no agent run."""
        if not isinstance(document, dict) or not _is_id(document.get("id")):
            raise BackendError("Codegen sent something that is no agent run", transient=True)
        metadata = document.get("metadata")
        return cls(
            id=document["id"],
            status=_text(document, "status").strip().upper()[:LONGEST_STATUS],
            text=_text(document, "result") or _text(document, "summary"),
            url=_text(document, "web_url") or None,
            pull_requests=_pull_requests(document.get("github_pull_requests")),
            task_id=_text(metadata, "taskId") if isinstance(metadata, dict) else "",
        )

    @property
    def failed(self) -> bool:
        """Whether it has ended badly."""
        return self.status in FAILED

    @property
    def ended(self) -> bool:
        """Whether it has ended, well or badly."""
        return self.failed or self.status in COMPLETE

    @property
    def content(self) -> str:
        """What a person reads: a run that wrote nothing but a pull request answers with its address."""
        links = (" ".join(str(pr[name]) for name in ("title", "url") if pr[name]) for pr in self.pull_requests)
        return self.text or "\n".join(filter(None, links))


def _is_id(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _text(document: Mapping[str, Json], name: str) -> str:
    value = document.get(name)
    return storable(value) if isinstance(value, str) and value.strip() else ""


def _pull_requests(found: Json) -> list[dict[str, Json]]:
    listed = found if isinstance(found, list) else []
    return [_pull_request(pull_request) for pull_request in listed if isinstance(pull_request, dict)]


def _pull_request(document: Mapping[str, Json]) -> dict[str, Json]:
    texts = {"title": "title", "url": "url", "branch": "head_branch_name", "createdAt": "created_at"}
    number = document.get("id")
    shown = {ours: _text(document, theirs) or None for ours, theirs in texts.items()}
    return {"id": number if _is_id(number) else None, **shown}
