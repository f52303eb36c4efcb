"""Runs the stand-ins, each in a fork of one process, because their imports take longer than they run.

Without arguments it starts the server, which prints its socket's path when it is ready, and ends with its input. With
arguments it is a client: it passes its arguments, folder, environment and standard streams to the server, and exits as
the stand-in does. Python's start takes most of a client's time, so a client imports little else.
"""

import socket
import sys

# The exit code of a client whose stand-in has died.
DIED = 70


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
        return int(connection.recv(8) or DIED)


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
    refusal = standin.main(request["arguments"])
    if refusal is not None:
        print(refusal, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    connection.sendall(b"0" if refusal is None else b"1")


def serve():
    """Serves until its input ends, also because the process that started it was killed."""
    import os
    import select
    import signal
    import tempfile
    import traceback

    import standin

    standin.preload()
    # The kernel reaps the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = f"{folder}/socket"
        listener.bind(path)
        listener.listen(16)
        print(f"ready {path}", flush=True)
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            connection, _ = listener.accept()
            with connection:
                if os.fork() == 0:
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    try:
                        answer(connection)
                    except BaseException:
                        traceback.print_exc()
                    os._exit(0)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
    serve()
