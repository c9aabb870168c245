"""What `http` steps send: through the address guard, each request on a connection of its own."""

from django.conf import settings

from taskmaster.core.outbound import NoReply, Refused, exchange, guarded_connector, open_session, read_url

from .backends.request import Call, Outcome

# Of a reply; a step's result is stored and shown.
MOST_BYTES = 256 * 1024


async def send(call: Call) -> Outcome:
    """Send it; every refusal and failure is told in words."""
    try:
        url = read_url(call.url, allow_loopback=settings.WEBHOOK_ALLOW_PRIVATE)
        connector = guarded_connector(allow_loopback=settings.WEBHOOK_ALLOW_PRIVATE)
        async with open_session(connector) as session:
            reply = await exchange(
                session,
                call.method,
                url,
                headers=call.headers,
                body=call.body,
                seconds=call.seconds,
                most=MOST_BYTES,
            )
    except Refused as refused:
        return Outcome(problem=f"its url {refused}")
    except NoReply as nothing:
        return Outcome(problem=str(nothing))
    if reply.problem:
        return Outcome(problem=f"its reply cannot be used: {reply.problem}")
    return Outcome(reply.status, reply.headers.get("Content-Type", ""), reply.body)
