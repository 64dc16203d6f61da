"""Files on their way in and out: upload by the legacy host, download of what people sent by a temporary address.

DingTalk docs, 2026-11-20. Which token an upload takes is told in two ways, so both are good here.
"""

from __future__ import annotations

import base64
import binascii
import email.parser
import email.policy
import hashlib
import itertools
from dataclasses import dataclass
from typing import Any

from emulators.answers import Answer, Call, json_answer, refused
from emulators.dingtalk.tokens import Tokens, api_error
from emulators.front import Front, Pace

MAX_BYTES = {"image": 20_000_000, "voice": 2_000_000, "video": 20_000_000, "file": 20_000_000}
ENDINGS = {
    "image": {"jpg", "jpeg", "gif", "png", "bmp"},
    "voice": {"amr", "mp3", "wav"},
    "video": {"mp4"},
    "file": {"doc", "docx", "xls", "xlsx", "ppt", "pptx", "zip", "pdf", "rar"},
}
#: what is behind every code that begins with "code-": a picture of one dot
_DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@dataclass(slots=True, frozen=True)
class File:
    content: bytes
    media_type: str


class Media:
    pace: Pace

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.reset()

    def reset(self) -> None:
        self._numbers = itertools.count(1)
        self._sent: dict[str, File] = {}  # by download code: what people sent

    def set_file(self, values: dict[str, Any]) -> None:
        """Control: {"code", "content": base64, "media_type"?}, what a download code leads to."""
        try:
            content = base64.b64decode(str(values["content"]), validate=True)
            self._sent[str(values["code"])] = File(content, str(values.get("media_type", "application/octet-stream")))
        except (KeyError, binascii.Error) as exc:
            raise ValueError("code and content (base64) are needed") from exc

    def upload(self, call: Call) -> Answer:
        """POST /media/upload?access_token&type, multipart, field `media` with a file name."""
        kind = call.query.get("type", "")
        name, content = _file_in(call)
        facts: dict[str, Any] = {"media_type": kind, "name": name, "size": len(content)}
        facts["sha256"] = hashlib.sha256(content).hexdigest()
        if not self.tokens.good(call.query.get("access_token", "")):
            return _legacy(40014, "不合法的access_token", facts)
        ending = name.rpartition(".")[2].lower()
        if kind not in ENDINGS or ending not in ENDINGS[kind]:
            return _legacy(40004, "不合法的媒体文件类型", facts)
        if not content:
            return _legacy(40035, "缺少参数 media", facts)
        if len(content) > MAX_BYTES[kind]:
            return _legacy(40006, "不合法的文件大小", facts)
        media_id = f"@lADP{next(self._numbers):08d}"
        answer = {"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id, "created_at": 1_700_000_000_000}
        return json_answer(answer, facts={**facts, "media_id": media_id}, delay_s=self.pace.delay_ms / 1000)

    def download(self, call: Call) -> Answer:
        """POST /v1.0/robot/messageFiles/download"""
        body = call.json or {}
        code = str(body.get("downloadCode") or "")
        facts = {"download_code": code, "robot_code": body.get("robotCode")}
        if refusal := self.tokens.refusal(call):
            return refusal
        if not body.get("robotCode") or self._behind(code) is None:
            # the exact code is not documented
            return api_error(400, "invalidParameter.downloadCode", "downloadCode is invalid or expired", facts)
        url = f"http://{call.headers.get('Host', '')}/temporary/{code.encode().hex()}"
        return json_answer({"downloadUrl": url}, facts=facts, delay_s=self.pace.delay_ms / 1000)

    def fetch(self, call: Call) -> Answer:
        """GET the temporary address; no token belongs there."""
        code = bytes.fromhex(call.params["code"]).decode(errors="replace")
        file = self._behind(code)
        facts = {"download_code": code, "with_token": "x-acs-dingtalk-access-token" in call.headers}
        if file is None:
            return refused({"message": "gone"}, 404, facts=facts)
        return Answer(200, file.content, file.media_type, facts={**facts, "size": len(file.content)})

    def _behind(self, code: str) -> File | None:
        return self._sent.get(code) or (File(_DOT, "image/png") if code.startswith("code-") else None)


def _file_in(call: Call) -> tuple[str, bytes]:
    """Name and bytes of the field `media`; a field without a file name counts as none."""
    head = f"Content-Type: {call.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    for part in message.walk():
        if part.get_param("name", header="content-disposition") == "media" and part.get_filename():
            content = part.get_payload(decode=True)
            return str(part.get_filename()), content if isinstance(content, bytes) else b""
    return "", b""


def _legacy(errcode: int, errmsg: str, facts: dict[str, Any]) -> Answer:
    return refused({"errcode": errcode, "errmsg": errmsg}, 200, facts={**facts, "errcode": errcode})


def serve(front: Front, media: Media) -> None:
    media.pace = front.pace
    front.add("POST", "/media/upload", media.upload)
    front.add("POST", "/v1.0/robot/messageFiles/download", media.download)
    front.add("GET", "/temporary/{code:[0-9a-f]+}", media.fetch)
    front.control("POST", "/files", media.set_file)
