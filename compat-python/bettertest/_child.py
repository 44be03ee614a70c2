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


def become_task(function, root, carry, output, control, lifeline):
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

    # Each process that is forked from here holds it too, until it ends or becomes another program.
    held = [lifeline]

    def let_go():
        while held:
            os.close(held.pop())

    def carry_call(worker, request, check):
        call = {"type": "call", "worker": worker, "request": request, "check": check, "unheeded": not held}
        if carry is None:
            return _send(control, call)
        return _send(control, call, lambda: carry(worker, request, check))

    end = _task.run_task(function, root, carry_call, lambda end: _send(control, {"type": "failed", "end": end}), let_go)
    let_go()
    # Answered when no other process of the task can call any more, or none has for too long.
    others = _send(control, {"type": "end", "end": end})
    ends = [end, *others["failed"], *_task.ends_of_late(root, others["late"])]
    if len(ends) > 1:
        _send(control, {"type": "end", "end": _task.worst(ends)})
    _task.flush()
    os._exit(0)


def _send(control, message, carry=None):
    """Sends one message on a socket of its own and waits for the answer, or passes on the one that `carry` gives."""
    _task.flush()
    gone = InfrastructureError("the process that runs this pipedef's tasks is gone")
    try:
        mine, theirs = socket.socketpair()
        with mine:
            with theirs:
                control.sendmsg([b"c"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))])
            _write(mine, message)
            try:
                answer = carry() if carry else _read(mine)
            except BaseException:
                # The code gives this call up. Without a word its whole process would seem to have died.
                try:
                    _write(mine, None)
                except OSError:
                    pass  # answered at this moment
                raise
            if answer is None:
                raise gone
            if carry:
                _write(mine, answer)
    except (BrokenPipeError, ConnectionResetError):
        raise gone from None
    return answer


def _write(connection, message):
    connection.sendall(json.dumps(message).encode() + b"\n")


def _read(connection):
    received = b""
    while not received.endswith(b"\n"):
        data = connection.recv(READ_SIZE)
        if not data:
            return None
        received += data
    return json.loads(received)
