"""What a parent knows of one task's process and of its calls."""

import os
import signal

from ._task import thrown, worst


class TaskCall:
    __slots__ = ("number", "socket", "received", "message", "mark")

    def __init__(self, connection):
        self.number = None
        self.socket = connection
        self.received = b""
        self.message = None
        self.mark = None


class TaskProcess:
    def __init__(self, key, pid, output, control, lifeline, patience_s):
        self.key = key
        self.pid = pid
        self.output = output
        self.control = control
        # Ends when no process of the task is left that may still call.
        self.lifeline = lifeline
        self.patience_s = patience_s
        self.give_up_at = None
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
        self.died_calling = False
        self.failed = []
        self.late = []


def how_it_ended(process):
    """The end that the task and its other processes reported, or what can be said of how it ended without a word."""
    end = worst([*([process.end] if process.end else []), *process.failed])
    if end["status"] != "passed":
        return end
    if os.WIFSIGNALED(process.status):
        number = os.WTERMSIG(process.status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "signal %d" % number
        return thrown("the task's process was killed by %s" % name)
    code = os.WEXITSTATUS(process.status)
    if code != 0:
        return thrown("the task's process ended itself with exit code %d" % code)
    if process.end is None and process.unfinished:
        return thrown("the task's process ended itself while a run() was still under way")
    return end
