"""The codes with which a socket is closed by us, and what each of them says to people."""

NORMAL, TRY_AGAIN_LATER = 1000, 1013
UNAUTHENTICATED, FORBIDDEN, NOT_FOUND = 4401, 4403, 4404

# At most 123 bytes each (RFC 6455, 5.5).
REASONS = {
    NORMAL: "The session was deleted.",
    TRY_AGAIN_LATER: "The database did not answer; connect again in a moment.",
    UNAUTHENTICATED: "No valid token: it is unknown, expired or revoked, or did not come within 10 seconds.",
    FORBIDDEN: "The token is of another organization, or its organization is suspended.",
    NOT_FOUND: "There is no such session.",
}

# And why a handshake is refused.
REFUSALS = {
    403: "A page of this origin may not connect: see TASKMASTER_ALLOWED_ORIGINS.",
    404: "There is no WebSocket at this path; it is at /ws.",
    503: "This process holds as many sockets as it can; try again shortly.",
}
