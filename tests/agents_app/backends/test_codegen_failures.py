"""How the codegen backend fails, what it sits out, and how it lets go."""

import asyncio

import pytest

from .codegen_server import (
    KEY,
    RUN,
    Answering,
    codegen,
    done,
    fail,
    fault,
    goes_away,
    hangs,
    message,
    says,
    state,
    until,
    work,
)

NO_ACCESS = "You do not have access to this organization."


@pytest.mark.parametrize("status", [401, 403])
def test_a_credential_that_is_not_accepted_is_a_matter_of_configuration(status: int) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(fault(status, f"{NO_ACCESS} {KEY}"))
            error, _ = await fail(server)
            assert (error.code, error.transient, error.limited) == ("not_configured", False, False)
            accepts = f"Codegen does not accept config.apiKey for config.orgId ({status})"
            assert str(error) == f"{accepts}: {NO_ACCESS} [hidden]"

    asyncio.run(run())


@pytest.mark.parametrize("status", [400, 402, 404, 405, 418, 422])
def test_what_will_not_pass_is_permanent(status: int) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(fault(status, "no", **{"Retry-After": "5"}))
            error, _ = await fail(server)
            assert (error.code, error.transient, error.retry_after) == ("agent_failed", False, None)
            assert str(error) == f"Codegen answered {status}: no"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"detail": [{"loc": ["body", "x"], "msg": "too long"}, {"msg": "odd"}, 5]}, "body.x: too long; odd; 5"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"error": {"a": 1}}, '{"a": 1}'),
        ("<html>Nginx</html>", ""),
        ("plain", "plain"),
        ([1], ""),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_reason_is_told_in_whatever_form_it_comes(body: object, reason: str) -> None:
    async def run() -> None:
        async with codegen() as server:

            async def refuses(request: object) -> object:
                response = await says(body)(request)  # type: ignore[arg-type]
                response.set_status(422)
                return response

            server.faults["create"].append(refuses)  # type: ignore[arg-type]
            error, _ = await fail(server)
            assert str(error) == "Codegen answered 422" + (f": {reason}" if reason else "")

    asyncio.run(run())


@pytest.mark.parametrize("status", ["FAILED", "error", "Stopped", "CANCELLED", "TIMEOUT", "MAX_ITERATIONS_REACHED"])
def test_a_run_that_ends_badly_is_a_permanent_failure_with_its_reason(status: str) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("ACTIVE"), state(status, f"no disk, {KEY}")])
            error, _ = await fail(server)
            assert (error.code, error.transient) == ("agent_failed", False)
            assert str(error) == f"the Codegen run 101 ended as {status.upper()}: no disk, [hidden]"

    asyncio.run(run())


def test_a_run_without_any_answer_is_a_failure() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("ACTIVE"), state("COMPLETE")])
            error, recorder = await fail(server)
            assert (error.code, error.transient) == ("empty_answer", False)
            assert "pending" not in recorder.memories[-1]

    asyncio.run(run())


@pytest.mark.parametrize("passing", [fault(500), fault(503), fault(404), goes_away, says("{oops"), says({"id": "x"})])
def test_looks_that_fail_are_tried_again_quietly(passing: Answering) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["read"].extend([passing] * 3)
            answer, recorder = await work(server)
            assert answer.content == "Done."
            assert all(line.startswith("Codegen run 101 is") for line in recorder.lines)

    asyncio.run(run())


def test_a_run_that_is_lost_sight_of_is_a_passing_failure_that_remembers_it() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["read"].extend([fault(500, "oops")] * 4)
            error, recorder = await fail(server)
            assert (error.transient, str(error)) == (True, "Codegen answered 500: oops")
            assert recorder.memories[-1] == {"pending": {"taskId": "task_1", "runId": 101, "lines": 0}}
            assert len(server.created) == 1

    asyncio.run(run())


def test_a_key_that_is_revoked_meanwhile_ends_the_looking() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["read"].append(fault(403, NO_ACCESS))
            error, _ = await fail(server)
            assert (error.code, error.transient) == ("not_configured", False)
            assert server.looks(101) == 1

    asyncio.run(run())


@pytest.mark.parametrize("odd", [says("[1, 2"), says([1]), says({"id": None}), says({"id": True}), says("[" * 100_000)])
def test_what_is_no_run_is_a_passing_failure(odd: Answering) -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(odd)
            error, _ = await fail(server)
            assert error.transient is True

    asyncio.run(run())


def test_redirects_are_not_followed_so_the_key_goes_nowhere_else() -> None:
    async def run() -> None:
        async with codegen() as thief, codegen() as server:
            server.faults["create"].append(fault(307, "", Location=thief.url + RUN))
            error, _ = await fail(server)
            assert error.transient is False
            assert thief.asked == []

    asyncio.run(run())


def test_a_cancelled_run_is_not_asked_for_any_more() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append([state("ACTIVE")])
            working = asyncio.create_task(work(server))
            await until(lambda: server.looks(101) >= 2)
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            await asyncio.sleep(0.05)  # what was on its way arrives
            asked = len(server.asked)
            await asyncio.sleep(0.1)  # three looks' time
            assert len(server.asked) == asked
            assert server.live == 0

    asyncio.run(run())


def test_a_cancelled_creation_lets_its_connection_go() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.faults["create"].append(hangs)
            working = asyncio.create_task(work(server))
            await server.reached.wait()
            working.cancel()
            with pytest.raises(asyncio.CancelledError):
                await working
            await until(lambda: not server.live)
            assert server.asked == [f"POST {RUN}"]

    asyncio.run(asyncio.wait_for(run(), 5))


def test_a_server_that_does_not_answer_is_a_passing_failure() -> None:
    async def run() -> None:
        async with codegen() as server:
            server.plays.append(done())
            server.faults["create"].append(hangs)
            error, _ = await fail(server, message(), within=0.1)
            assert (error.transient, str(error)) == (True, "Codegen did not answer in time")

    asyncio.run(run())
