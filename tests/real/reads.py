"""A web server's application that says what it read of each request, for uvicorn."""

import json

LOGIN = "/aws_mwaa/login"


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        event = await receive()
        body += event.get("body", b"")
        more = event.get("more_body", False)
    read = [scope["method"], scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")]
    headers = [(b"content-length", b"0"), (b"x-read", json.dumps([*read, body.decode("latin-1")]).encode())]
    if scope["path"] == LOGIN:
        headers = [(b"content-length", b"0"), (b"set-cookie", b"session=s; Path=/")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
