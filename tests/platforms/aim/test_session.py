"""A session against a server that does what servers do, and what they should not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog

from emulators.oscar import OscarServer, Switches
from emulators.oscar.limiter import CLASSES, Meter, RateClass
from mindbot_tasks.core.errors import FarSideError, Rejected, Throttled, Unavailable
from mindbot_tasks.platforms.aim import rates
from mindbot_tasks.platforms.aim.account import Account, Timing
from mindbot_tasks.platforms.aim.errors import LoginRefused, SignedOff, Unconfirmed
from mindbot_tasks.platforms.aim.messages import Incoming
from mindbot_tasks.platforms.aim.session import Session, connect
from mindbot_tasks.platforms.aim.supervisor import Supervisor
from tests.core.test_http_tls import certificate

__all__ = ["certificate"]

SECRET = "open sesame"
QUICK = Timing(
    login_s=5, ack_s=0.5, patience_s=0.05, keepalive_s=0.1, probe_after_s=60, probe_s=0.3, backoff_s=0.02,
    backoff_max_s=0.1, steady_s=60, too_often_s=0.05, elsewhere_s=0.05,
)  # fmt: skip

Events = list[tuple[str, dict[str, Any]]]


@asynccontextmanager
async def serving(
    tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[OscarServer, Account, Events]]:
    events: Events = []
    server = OscarServer({"Mind Bot": SECRET}, note=lambda event, fields: events.append((event, fields)), **options)
    await server.start(tls=tls)
    try:
        yield server, Account("mindbot", SECRET, "127.0.0.1", server.port), events
    finally:
        await server.stop()


def named(events: Events, name: str) -> list[dict[str, Any]]:
    return [fields for event, fields in events if event == name]


async def until(true: Callable[[], object], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - whatever it is that becomes true
            await asyncio.sleep(0.005)


async def next_message(session: Session) -> Incoming:
    async with asyncio.timeout(5):
        return await anext(aiter(session))


async def ending_of(session: Session) -> FarSideError:
    await until(lambda: session.ending is not None)
    assert session.ending is not None
    return session.ending


def run(story: Callable[[], Any]) -> None:
    """One story in an event loop of its own."""
    asyncio.run(story())


@pytest.mark.parametrize(
    "switches",
    [
        Switches(),
        Switches(chunk_bytes=1),
        Switches(merge=True),
        Switches(extra_frames=True),
        Switches(extra_block=True),
        Switches(rate_entries=30),
        Switches(chunk_bytes=7, extra_frames=True, extra_block=True),
        Switches(weak_only=True),
    ],
    ids=["plain", "bytes", "merged", "more frames", "extra block", "short rates", "everything", "an old server"],
)
def test_messages_go_both_ways_however_the_frames_come(switches: Switches) -> None:
    async def story() -> None:
        async with serving(switches=switches) as (server, account, events):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.say("Alice B", "mindbot", "<b>hello</b>")
            message = await next_message(session)
            assert (message.sender, message.text) == ("Alice B", "<b>hello</b>")
            await session.send("Alice B", "你好 <b>", b"12345678")
            await session.send("Alice B", "grüße", b"12345679")
            assert [(call["to"], call["text"]) for call in named(events, "call")] == [
                ("Alice B", "你好 <b>"),
                ("Alice B", "grüße"),
            ]
            await session.close()
            await until(lambda: not server.online())
            assert server.complaints == []

    run(story)


def test_what_was_said_while_we_were_away_comes_when_we_are_back() -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            await server.say("alice", "mindbot", "are you there?")
            session = await connect(account, QUICK)
            message = await next_message(session)
            assert (message.text, message.sent_at_s is not None) == ("are you there?", True)
            await session.close()

    run(story)


@pytest.mark.parametrize(
    ("switches", "password", "permanent", "too_often"),
    [
        (Switches(), "wrong", True, False),
        (Switches(key_error=0x07), SECRET, True, False),
        (Switches(login_error=0x18), SECRET, False, True),
        (Switches(login_error=0x02), SECRET, False, False),
    ],
)
def test_a_refused_login_says_whether_it_is_worth_coming_back(
    switches: Switches, password: str, permanent: bool, too_often: bool
) -> None:
    async def story() -> None:
        async with serving(switches=switches) as (_, account, _):
            with pytest.raises(LoginRefused) as raised:
                await connect(replace(account, password=password), QUICK)
            assert (raised.value.permanent, raised.value.too_often) == (permanent, too_often)
            assert SECRET not in str(raised.value) + repr(account)

    run(story)


def test_an_advertised_address_that_cannot_be_reached_may_be_replaced_by_the_known_one() -> None:
    async def story() -> None:
        async with serving(switches=Switches(advertise="256.0.0.1")) as (_, account, _):
            with pytest.raises(Unavailable):
                await connect(account, QUICK)
            session = await connect(replace(account, keep_login_host=True), QUICK)
            await session.close()

    run(story)


@pytest.mark.parametrize(("code", "error"), [(0x04, Rejected), (0x05, Unavailable), (0x03, Throttled)])
def test_a_refusal_is_told_to_the_message_that_it_is_about(code: int, error: type[Exception]) -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            server.switches.message_error = code
            with pytest.raises(error):
                await session.send("alice", "x", b"12345678")
            server.switches.message_error = 0
            await session.send("alice", "y", b"12345679")
            await session.close()

    run(story)


def test_a_message_that_nobody_acknowledges_is_unconfirmed() -> None:
    async def story() -> None:
        async with serving(switches=Switches(ack=False)) as (_, account, _):
            session = await connect(account, QUICK)
            with pytest.raises(Unconfirmed) as raised:
                await session.send("alice", "x", b"12345678")
            assert raised.value.kind == "ambiguous"
            await session.close()

    run(story)


@pytest.mark.parametrize(
    ("how", "elsewhere"), [("elsewhere", True), ("short", True), ("sign_off", False), ("close", False), ("rst", False)]
)
def test_how_a_connection_ends_is_understood(how: str, elsewhere: bool) -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.end("mindbot", how)
            ending = await ending_of(session)
            assert isinstance(ending, SignedOff)
            assert ending.elsewhere is elsewhere
            with pytest.raises(Unavailable) as raised:
                await session.send("alice", "x", b"12345678")
            assert raised.value.kind == "connection"
            await session.close()

    run(story)


def test_a_second_login_throws_the_first_out() -> None:
    async def story() -> None:
        async with serving() as (_, account, _):
            first = await connect(account, QUICK)
            second = await connect(account, QUICK)
            ending = await ending_of(first)
            assert isinstance(ending, SignedOff)
            assert ending.elsewhere
            assert second.ending is None
            for session in (first, second):
                await session.close()

    run(story)


def test_a_silent_server_is_noticed_and_a_living_one_is_not_disturbed() -> None:
    async def story() -> None:
        async with serving() as (server, account, events):
            session = await connect(account, replace(QUICK, probe_after_s=0.1))
            await asyncio.sleep(0.35)
            assert session.ending is None
            assert named(events, "keep_alive")
            server.switches.silent = True
            assert "silent" in str(await ending_of(session))
            await session.close()

    run(story)


def test_bytes_that_are_no_frames_end_the_connection_and_nothing_else() -> None:
    async def story() -> None:
        async with serving() as (server, account, _):
            session = await connect(account, QUICK)
            await until(server.online)
            await server.tell("mindbot", 0x04, 0x07, b"half a mess")
            await server.tell("mindbot", 0x01, 0x10, b"\x00\x64")
            await server.say("alice", "mindbot", "still there?")
            assert (await next_message(session)).text == "still there?"
            assert session.warning_level == 100
            for client in server._online["mindbot"]:
                client.writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            assert (await ending_of(session)).kind == "protocol"
            await session.close()

    run(story)


def test_tls_wants_a_certificate_that_somebody_vouches_for(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        async with serving(tls=context) as (server, account, _):
            with pytest.raises(Unavailable) as raised:
                await connect(replace(account, tls=True), QUICK)
            assert raised.value.code == "tls"
            monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
            session = await connect(replace(account, tls=True), QUICK)
            await session.send("alice", "psst", b"12345678")
            await session.close()
            assert server.complaints == []

    run(story)


#: open-oscar-server's class 3 with a fortieth of the time
SMALL = RateClass(3, 20, 1020, 1000, 800, 600, 2400)


class TestPace:
    def test_our_pace_loses_nothing_and_what_must_wait_is_told_so(self) -> None:
        async def story() -> None:
            classes = [SMALL if one.number == 3 else one for one in CLASSES]
            async with serving(classes=classes) as (_, account, events):
                session = await connect(account, QUICK)
                sent, waits, codes = 0, [], set()
                async with asyncio.timeout(20):
                    while sent < 30 and len(waits) < 2:
                        try:
                            await session.send("alice", "x", sent.to_bytes(8, "big"))
                            sent += 1
                        except Throttled as exc:
                            codes.add(exc.code)
                            waits.append(exc.retry_after_s or 0.0)
                            await asyncio.sleep(waits[-1])
                assert codes == {"our_limit"}
                assert sent > 6
                assert waits
                assert named(events, "dropped") == []
                await session.close()

        run(story)

    def test_those_who_must_wait_are_told_different_times(self) -> None:
        async def story() -> None:
            async with serving() as (_, account, _):
                session = await connect(account, QUICK)
                waits: list[float] = []
                for number in range(12):
                    try:
                        await session.send("alice", "x", number.to_bytes(8, "big"))
                    except Throttled as exc:
                        waits.append(exc.retry_after_s or 0.0)
                assert len(waits) == 6
                assert all(4 < later - earlier < 5 for earlier, later in pairwise(waits))
                await session.close()

        run(story)

    def test_the_whole_day_at_the_servers_own_classes(self) -> None:
        """Both sides' arithmetic with a clock of our own: thousands of messages, none dropped."""
        for one in CLASSES:
            now = 0.0
            meter = Meter(one, now)
            ours = rates.Bucket(
                rates.RateClass(
                    one.number, one.window, one.clear, one.alert, one.limit, one.disconnect, one.most, one.most
                ),
                now,
            )
            for _ in range(2000):
                now += ours.wait_ms(now)
                ours.note(now)
                assert meter.take(now + 20) in ("pass", "alert", "clear")

    def test_messages_that_the_server_drops_come_again_later(self) -> None:
        async def story() -> None:
            async with serving() as (_, account, events):
                session = await connect(account, QUICK)
                session.rates = rates.Rates()  # as if the server had told us nothing
                results = []
                for number in range(9):
                    try:
                        await session.send("alice", "x", number.to_bytes(8, "big"))
                        results.append("sent")
                    except (Throttled, Unconfirmed) as exc:
                        results.append(type(exc).__name__)
                assert results[:7] == ["sent"] * 7
                assert "sent" not in results[7:]
                assert named(events, "dropped")
                await session.close()

        run(story)


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
                        await asyncio.wait_for(task, 5)
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
                    await asyncio.wait_for(task, 5)
                assert watched.states[-1] == "refused"
                assert watched.states.count("online") == 3

        run(story)

    def test_what_was_under_way_when_the_connection_broke_goes_once_more_with_the_same_cookie(self) -> None:
        async def story() -> None:
            async with serving(switches=Switches(ack=False)) as (server, account, events):
                watched = Watched(account, replace(QUICK, ack_s=5))
                async with watched.running():
                    await until(server.online)
                    sending = asyncio.create_task(watched.supervisor.send("alice", "once", b"12345678", 5))
                    await until(lambda: named(events, "call"))
                    server.switches.ack = True
                    await server.end("mindbot", "rst")
                    await asyncio.wait_for(sending, 5)
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
