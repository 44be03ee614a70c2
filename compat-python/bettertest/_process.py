"""What a parent knows of one task's process and of its calls."""

import os
import signal


class TaskCall:
    __slots__ = ("number", "socket", "received", "message", "mark")

    def __init__(self, connection):
        self.number = None
        self.socket = connection
        self.received = b""
        self.message = None
        self.mark = None


class TaskProcess:
    def __init__(self, key, pid, output, control):
        self.key = key
        self.pid = pid
        self.output = output
        self.control = control
        self.read_bytes = 0
        self.unacknowledged = 0
        self.reading = False
        self.at_end = False
        self.status = None
        self.stop_at = None
        self.last_byte = None
        self.calls = []
        self.call_count = 0
        self.running = {}
        self.end = None
        self.end_call = None
        self.unfinished = 0
        self.late = []


def how_it_ended(process):
    """The end the task reported, or what can be said of a process that ended without a word."""
    if process.end is not None:
        return process.end
    if os.WIFSIGNALED(process.status):
        number = os.WTERMSIG(process.status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "signal %d" % number
        return _died("the task's process was killed by %s" % name)
    code = os.WEXITSTATUS(process.status)
    if code != 0:
        return _died("the task's process ended itself with exit code %d" % code)
    if process.unfinished:
        return _died("the task's process ended itself while a run() was still under way")
    return {"status": "passed"}


def _died(message):
    return {"status": "failed", "failure": {"kind": "thrown", "message": message}}
