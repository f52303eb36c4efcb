"""Serves moto, a DynamoDB that others have written, in Python, on a free port of this machine."""

import copy
import logging
import threading
from unittest import mock


class Moto:
    """A DynamoDB, until the end of a `with` block. All of a process share their tables.

    It serves one request after the other: before a transaction moto copies the table, and if a condition fails it puts
    the copy back, so it would lose what another request has written in between.
    """

    def __enter__(self):
        from moto.dynamodb.models.table import Table
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self.copied = None
        self.copies = mock.patch.object(Table, "__deepcopy__", lambda table, _: self.copy_of(table), create=True)
        self.copies.start()
        moto, turn = DomainDispatcherApplication(create_backend_app), threading.Lock()

        def in_turn(environment, start_response):
            with turn:
                self.copied = None
                return list(moto(environment, start_response))

        self.server = make_server("127.0.0.1", 0, in_turn, threaded=True, request_handler=MotoRequestHandler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        return self

    def copy_of(self, table):
        """Copies the table's items, once in a request: moto makes a copy for each write, which takes seconds.

        The copy shares the stream. With a copy of the stream, its readers would stay with the old one.
        """
        if self.copied is None:
            self.copied = copy.copy(table)
            self.copied.items = copy.deepcopy(table.items)
        return self.copied

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.copies.stop()
