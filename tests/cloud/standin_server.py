"""Runs the stand-ins, each in a fork of one process, because their imports take longer than they run.

Without arguments it starts the server, which prints its socket's path when it is ready. With arguments it is a client:
it passes its arguments, folder, environment and standard streams to the server, and exits as the stand-in does.
Python's start takes most of a client's time, so that imports nothing else.
"""

import socket
import sys


def ask(path, arguments):
    """Has the server run a command. Returns its exit code."""
    import json
    import os

    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        socket.send_fds(connection, [b"+"], [0, 1, 2])
        request = {"arguments": arguments, "folder": os.getcwd(), "environment": dict(os.environ)}
        connection.sendall(json.dumps(request).encode())
        connection.shutdown(socket.SHUT_WR)
        return int(connection.recv(8) or 1)


def answer(connection):
    """Runs the command of a client in this process."""
    import json
    import os

    import standin

    _, streams, _, _ = socket.recv_fds(connection, 1, 3)
    for target, stream in enumerate(streams):
        os.dup2(stream, target)
    with connection.makefile("rb") as sent:
        request = json.loads(sent.read())
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    code = 0
    try:
        standin.main(request["arguments"])
    except SystemExit as refused:
        print(refused.code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(str(code).encode())


def serve():
    """Serves until the process is terminated."""
    import os
    import signal
    import tempfile

    import standin

    standin.preload()
    # The kernel reaps the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen(16)
        print(path, flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    try:
                        answer(connection)
                    finally:
                        os._exit(1)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve()
