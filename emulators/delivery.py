"""Sending an answer: its pace, and the connections that die on the way."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from socket import SO_LINGER, SOL_SOCKET

from aiohttp import web

from emulators.answers import Answer, Stream
from emulators.calls import Outcome
from emulators.faults import AcceptThenCut, AnyRule, Cut, Drip, Drop, Silence

# A stream is written at most ten times a second, each time all that is due: a thousand streams are then ten
# thousand small writes a second, which one core can do.
_TICK_S = 0.1


async def deliver(request: web.Request, answer: Answer, rule: AnyRule | None) -> tuple[web.StreamResponse, Outcome]:
    """Send the answer as the rule wants it. Raises ConnectionResetError when the caller has gone."""
    match rule:
        case Drop() | AcceptThenCut():
            await asyncio.sleep(answer.delay_s)
            return _kill(request, web.Response(), reset=rule.reset), "cut"
        case Silence():
            return await _silence(request, answer, rule), "cut"
        case Cut():
            return await _cut(request, answer, rule)
        case Drip():
            response = _response(answer)
            await asyncio.sleep(answer.delay_s)
            await response.prepare(request)
            await _drip(response, _body(answer), rule.bytes_per_s)
            await response.write_eof()
            return response, "sent"
    if isinstance(answer, Stream):
        return await _stream(request, answer), "sent"
    if answer.delay_s:
        await asyncio.sleep(answer.delay_s)
    whole = web.Response(
        status=answer.status, body=answer.body, content_type=answer.content_type, headers=answer.headers or None
    )
    await whole.prepare(request)
    await whole.write_eof()
    return whole, "sent"


async def _stream(request: web.Request, answer: Stream) -> web.StreamResponse:
    response = _response(answer)
    async for chunk in _chunks(answer):
        if not response.prepared:
            await response.prepare(request)
        await response.write(chunk)
    if not response.prepared:
        await response.prepare(request)
    await response.write_eof()
    return response


async def _chunks(answer: Stream) -> AsyncIterator[bytes]:
    """The bytes of a stream, each piece when it is due."""
    async for ping in _wait(answer, answer.delay_s):
        yield ping
    if answer.pieces:
        for piece in (*answer.events, *answer.tail):
            yield piece
            await asyncio.sleep(0.005)  # a packet each
        return
    if answer.per_s <= 0:
        yield b"".join((*answer.events, *answer.tail))
        return
    clock = asyncio.get_running_loop().time
    started, sent, total = clock(), 0, len(answer.events)
    while sent < total and not answer.stopped():
        due = min(total, int((clock() - started) * answer.per_s) + 1)
        if due > sent:
            yield b"".join(answer.events[sent:due])
            sent = due
        next_at = started + sent / answer.per_s
        async for ping in _wait(answer, max(_TICK_S, next_at - clock())):
            yield ping
    yield b"".join(answer.tail)


async def _wait(answer: Stream, seconds: float) -> AsyncIterator[bytes]:
    """Wait; keep-alive lines on the way when this vendor sends them."""
    every = answer.ping_every_s
    while every is not None and seconds > every:
        await asyncio.sleep(every)
        seconds -= every
        yield answer.ping
    if seconds > 0:
        await asyncio.sleep(seconds)


async def _silence(request: web.Request, answer: Answer, rule: Silence) -> web.StreamResponse:
    response = _response(answer)
    if rule.headers or rule.ping:
        await response.prepare(request)
        if isinstance(answer, Stream):
            # aiohttp keeps the headers back until the first byte
            await response.write(answer.ping if rule.ping else answer.nothing)
    left = rule.seconds
    while left > 0:
        nap = min(left, rule.ping_every_s) if rule.ping else left
        await asyncio.sleep(nap)
        left -= nap
        if rule.ping and isinstance(answer, Stream):
            await response.write(answer.ping)
    return _kill(request, response)


async def _cut(request: web.Request, answer: Answer, rule: Cut) -> tuple[web.StreamResponse, Outcome]:
    await asyncio.sleep(answer.delay_s)
    events = [*answer.events, *answer.tail] if isinstance(answer, Stream) else [answer.body]
    kept = b"".join(events if rule.after_events is None else events[: rule.after_events])
    if rule.after_events is None or rule.after_bytes is not None:
        kept = kept[: rule.after_bytes or 0]
    # A clean end must not have announced more than it brings.
    response = _response(answer) if not rule.clean else _response(Answer(answer.status, kept, answer.content_type))
    await response.prepare(request)
    if kept:
        await response.write(kept)
    if rule.clean:
        await response.write_eof()
        return response, "cut"
    if kept:
        await asyncio.sleep(0.05)  # let the kept part arrive before the end of the connection overtakes it
    return _kill(request, response, reset=rule.reset), "cut"


async def _drip(response: web.StreamResponse, body: bytes, bytes_per_s: float) -> None:
    clock = asyncio.get_running_loop().time
    started, sent = clock(), 0
    while sent < len(body):
        due = min(len(body), int((clock() - started) * bytes_per_s) + 1)
        if due > sent:
            await response.write(body[sent:due])
            sent = due
        if sent < len(body):
            await asyncio.sleep(max(0.02, started + sent / bytes_per_s - clock()))


def _response(answer: Answer) -> web.StreamResponse:
    response = web.StreamResponse(status=answer.status, headers=answer.headers or None)
    response.content_type = answer.content_type
    if isinstance(answer, Stream):
        response.headers["Cache-Control"] = "no-cache"
        response.enable_chunked_encoding()
    else:
        response.content_length = len(answer.body)
    return response


def _body(answer: Answer) -> bytes:
    return b"".join((*answer.events, *answer.tail)) if isinstance(answer, Stream) else answer.body


def _kill(request: web.Request, response: web.StreamResponse, *, reset: bool = False) -> web.StreamResponse:
    """End the connection under the answer: the caller sees it closed, or reset."""
    if request.transport is not None:
        if reset:
            # Without lingering, closing a socket sends RST instead of FIN.
            request.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            request.transport.abort()
        else:
            request.transport.close()
    return response
