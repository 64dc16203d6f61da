"""When an account comes back, and when it gives in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import structlog

from emulators.oscar import Switches
from mindbot_tasks.core.errors import Unavailable
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.errors import LoginRefused, SignedOff
from mindbot_tasks.platforms.aim.supervisor import Supervisor
from tests.platforms.aim.serving import QUICK, named, run, serving, until


class Watched:
    """A supervisor at work."""

    def __init__(self, account: Account, timing: Timing = QUICK) -> None:
        self.states: list[str] = []
        self.messages: list[str] = []
        self.supervisor = Supervisor(
            account,
            on_message=lambda message: self.messages.append(message.text),
            on_state=lambda state, _: self.states.append(state),
            timing=timing,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class TestSupervisor:
    def test_comes_back_after_the_server_has_gone(self) -> None:
        async def story() -> None:
            async with serving() as (server, account, _):
                watched = Watched(account)
                async with watched.running():
                    for how in ("close", "rst", "sign_off"):
                        await until(server.online)
                        await server.end("mindbot", how)
                        await until(lambda: not server.online())
                    await until(server.online)
                    await server.say("alice", "mindbot", "welcome back")
                    await until(lambda: watched.messages == ["welcome back"])
                assert watched.states.count("online") == 4
                assert "backing_off" in watched.states

        run(story)

    def test_a_wrong_password_ends_it_and_raises_the_alarm(self) -> None:
        async def story() -> None:
            async with serving() as (_, account, events):
                watched = Watched(replace(account, password="wrong horse"))
                with structlog.testing.capture_logs() as logs:
                    async with watched.running() as task:
                        await asyncio.wait_for(task, 60)
                assert watched.states == ["connecting", "refused"]
                assert len(named(events, "login")) == 2  # by both digests
                assert [log for log in logs if log["log_level"] == "error"]
                assert "wrong horse" not in repr(logs)

        run(story)

    def test_who_is_thrown_out_again_and_again_gives_in(self) -> None:
        async def story() -> None:
            async with serving() as (server, account, _):
                watched = Watched(account)
                async with watched.running() as task:
                    for times in (1, 2, 3):
                        await until(lambda: watched.states.count("online") == times and server.online())  # noqa: B023
                        await server.end("mindbot", "elsewhere")
                    await asyncio.wait_for(task, 60)
                assert watched.states[-1] == "refused"
                assert watched.states.count("online") == 3

        run(story)

    def test_what_was_under_way_when_the_connection_broke_goes_once_more_with_the_same_cookie(self) -> None:
        async def story() -> None:
            async with serving(switches=Switches(ack=False)) as (server, account, events):
                watched = Watched(account)
                async with watched.running():
                    await until(server.online)
                    sending = asyncio.create_task(watched.supervisor.send("alice", "once", b"12345678", 60))
                    await until(lambda: named(events, "call"))
                    server.switches.ack = True
                    await server.end("mindbot", "rst")
                    await asyncio.wait_for(sending, 60)
                calls = named(events, "call")
                assert [call["repeated"] for call in calls] == [False, True]
                assert {call["cookie"] for call in calls} == {b"12345678".hex()}

        run(story)

    def test_without_a_connection_a_message_may_come_again_later(self) -> None:
        async def story() -> None:
            async with serving() as (_, account, _):
                with pytest.raises(Unavailable) as raised:
                    await Watched(account).supervisor.send("alice", "x", b"12345678", 1)
                assert raised.value.kind == "connection"

        run(story)

    def test_pauses_grow_and_begin_anew_after_a_steady_time(self) -> None:
        async def story() -> None:
            supervisor = Watched(Account("a", "b", "127.0.0.1", 1), Timing()).supervisor
            down = SignedOff("x")
            pauses = [supervisor._pause_after(down) or 0 for _ in range(40)]
            assert pauses[0] == 2
            assert all(2 <= pause <= 300 for pause in pauses)
            assert max(pauses[8:]) > 100
            assert 600 <= (supervisor._pause_after(LoginRefused(0x18)) or 0) <= 750
            assert 300 <= (supervisor._pause_after(SignedOff("x", elsewhere=True)) or 0) <= 375

        run(story)
