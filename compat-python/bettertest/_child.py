"""The first and the last steps inside a task's own process; the other end is _forks.py."""

import array
import fcntl
import json
import os
import signal
import socket

from . import _task
from ._errors import InfrastructureError

READ_SIZE = 65536


def become_task(function, root, carry, output, control):
    """Turns this fresh fork into the task; does not return."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    # If the parent dies, the kernel ends this whole process group: the default of SIGIO is to terminate.
    fcntl.fcntl(control, fcntl.F_SETOWN, -os.getpid())
    fcntl.fcntl(control, fcntl.F_SETFL, fcntl.fcntl(control, fcntl.F_GETFL) | getattr(os, "O_ASYNC", 0))
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)

    send = _sender(control)

    def carry_by_parent(worker, request, check):
        return send({"type": "call", "worker": worker, "request": request, "check": check})

    end = _task.run_task(function, root, carry or carry_by_parent)
    # Answered when no call of a process that the task left behind is under way any more.
    late = send({"type": "end", "end": end})["late"]
    if end["status"] == "passed" and late:
        send({"type": "end", "end": _task.end_of_late(root, late)})
    _task.flush()
    os._exit(0)


def _sender(control):
    """In the task: sends one message on a socket of its own and waits for the answer."""

    def send(message):
        _task.flush()
        gone = InfrastructureError("the process that runs this pipedef's tasks is gone")
        try:
            mine, theirs = socket.socketpair()
            with mine:
                with theirs:
                    control.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
                mine.sendall(json.dumps(message).encode() + b"\n")
                received = b""
                while not received.endswith(b"\n"):
                    data = mine.recv(READ_SIZE)
                    if not data:
                        raise gone
                    received += data
        except (BrokenPipeError, ConnectionResetError):
            raise gone from None
        return json.loads(received)

    return send
