"""Errors that reach a client: a class for each stable `code`; the docs' error page is made from them."""

from typing import Any, ClassVar

Detail = dict[str, Any]


class ApiError(Exception):
    """Something went wrong on our side; every other error is one of these. `retry_after` is in seconds."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    message: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self, message: str | None = None, *, details: list[Detail] | None = None, retry_after: int | None = None
    ) -> None:
        super().__init__(message or self.message)
        self.details = details
        self.retry_after = retry_after


class BadRequest(ApiError):
    """The request cannot be read."""

    status, code, message = 400, "bad_request", "The request cannot be read."


class UnknownFrame(BadRequest):
    """A WebSocket frame of a type that there is not."""

    code, message = "unknown_type", "There is no such type of frame."


class ValidationFailed(ApiError):
    """A field is missing or has a value it may not have; `details` names it."""

    status, code, message = 400, "validation_failed", "The request is not valid."

    @classmethod
    def of(cls, field: str, message: str) -> "ValidationFailed":
        """The error for one field."""
        return cls(f"{field}: {message}", details=[{"field": field, "message": message}])


class Unauthenticated(ApiError):
    """There is no valid token, or no organization, on the request."""

    status, code, message = 401, "unauthenticated", "A valid bearer token and X-Org-ID are required."


class Forbidden(ApiError):
    """The token is good but may not do this."""

    status, code, message = 403, "forbidden", "This token may not do that."


class WrongOrganization(Forbidden):
    """X-Org-ID is not the token's organization, whether or not such a one exists."""

    code, message = "wrong_organization", "This token does not belong to that organization."


class MissingScope(Forbidden):
    """The token lacks the scope of this route."""

    code = "missing_scope"


class OrganizationSuspended(Forbidden):
    """The organization has been suspended by the operators."""

    code, message = "organization_suspended", "This organization is suspended."


class NotFound(ApiError):
    """There is no such thing, or it belongs to somebody else."""

    status, code, message = 404, "not_found", "Not found."


class MethodNotAllowed(ApiError):
    """The route exists but not for this method."""

    status, code, message = 405, "method_not_allowed", "This method is not allowed here."


class Conflict(ApiError):
    """The request contradicts what is stored."""

    status, code, message = 409, "conflict", "The request conflicts with the current state."


class InvalidState(Conflict):
    """A state move that the stored state does not allow; `details` has the current state."""

    code = "invalid_state"


class LeaseLost(Conflict):
    """The lease token is wrong, late or used; nothing was changed."""

    code, message = "lease_lost", "This lease is not held any more."


class QuotaExceeded(Conflict):
    """There is no room for it; nothing was stored. Deleting something makes room."""

    code, message = "quota_exceeded", "The quota is used up."


class IdempotencyConflict(Conflict):
    """The key was used before with another request."""

    code, message = "idempotency_conflict", "This Idempotency-Key was used with a different request."


class RequestTimeout(ApiError):
    """The request did not arrive in time."""

    status, code, message = 408, "request_timeout", "The request did not arrive in time."


class HeadersTooLarge(ApiError):
    """The headers are over the limit."""

    status, code, message = 431, "headers_too_large", "The headers are too large."


class BodyTooLarge(ApiError):
    """The body is over the limit."""

    status, code, message = 413, "body_too_large", "The body is larger than 1 MB."

    @classmethod
    def over(cls, limit: int) -> "BodyTooLarge":
        """The error for a body of more than `limit` bytes."""
        return cls(f"The body is larger than {limit // 1024**2} MB.")


class UnsupportedMediaType(ApiError):
    """The body is not JSON."""

    status, code, message = 415, "unsupported_media_type", "Send the body as application/json."


class RateLimited(ApiError):
    """Too many requests in the window."""

    status, code, message = 429, "rate_limited", "Rate limit exceeded."


class AgentFailed(ApiError):
    """The agent itself failed."""

    status, code, message = 502, "agent_failed", "The agent failed."


class NoAgent(ApiError):
    """No configured agent could ever take this."""

    status, code, message = 503, "no_agent", "No configured agent can take this."


class Overloaded(ApiError):
    """The server has too much to do at the moment."""

    status, code, message = 503, "overloaded", "The server is overloaded; try again shortly."


class Unavailable(ApiError):
    """The database did not answer; nothing was changed."""

    status, code, message = 503, "unavailable", "The service is not available at the moment; try again shortly."


class Unhealthy(ApiError):
    """A part that is needed is down; only health answers say this, with what they found."""

    status, code, message = 503, "unhealthy", "A part that is needed is down."
