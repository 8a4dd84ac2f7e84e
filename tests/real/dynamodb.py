"""A DynamoDB for the tests: moto behind HTTP, one request after the other, so that the condition of a write and the
write are one step, as they are in DynamoDB. Takes a port, and prints its address. With the word "twice" it does each write
twice, as if something on the way had repeated it, and answers what the second one gave."""

import io
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from moto.server import DomainDispatcherApplication, create_backend_app

APPLICATION = DomainDispatcherApplication(create_backend_app)
ONE = threading.Lock()


def answer(environ, start_response):
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))

    def ask(start):
        return list(APPLICATION({**environ, "wsgi.input": io.BytesIO(body)}, start))

    with ONE:
        if "twice" in sys.argv and environ["HTTP_X_AMZ_TARGET"].endswith(".PutItem"):
            ask(lambda *_: None)
        return ask(start_response)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


with make_server("127.0.0.1", int(sys.argv[1]), answer, Server, Handler) as server:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
