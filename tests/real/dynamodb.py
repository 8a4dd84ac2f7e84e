"""A DynamoDB for the tests: moto behind HTTP, one request after the other, so that the condition of a write and the
write are one step, as they are in DynamoDB. Takes a port, and prints its address."""

import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from moto.server import DomainDispatcherApplication, create_backend_app

APPLICATION = DomainDispatcherApplication(create_backend_app)
ONE = threading.Lock()


def answer(environ, start_response):
    with ONE:
        return list(APPLICATION(environ, start_response))


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass


with make_server("127.0.0.1", int(sys.argv[1]), answer, Server, Handler) as server:
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
