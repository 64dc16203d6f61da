"""Reading multipart bodies, as the upload endpoints of vendors get them."""

from __future__ import annotations

import email.parser
import email.policy

from emulators.answers import Call


def read_form(call: Call, field: str) -> tuple[dict[str, str], str, bytes]:
    """The plain fields, and the name and the bytes of the file in `field`; "" and nothing if there is none."""
    head = f"Content-Type: {call.headers.get('Content-Type', '')}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + call.body)
    fields: dict[str, str] = {}
    name, content = "", b""
    for part in message.walk():
        payload = part.get_payload(decode=True)
        called = part.get_param("name", header="content-disposition")
        if not isinstance(payload, bytes) or not isinstance(called, str):
            continue
        if called == field and part.get_filename():
            name, content = str(part.get_filename()), payload
        else:
            fields[called] = payload.decode("utf-8", "replace")
    return fields, name, content
