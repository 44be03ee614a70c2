"""The child side of runtime/host/python: one interpreter per run, in which the pipedef is loaded once.

File descriptor 3 is a socket to the boss; src/wire/python-bridge.ts lists the messages. A line of JSON each
way, and after an "output" line as many raw bytes as it says.
"""

import fcntl
import json
import os
import signal
import socket
import sys

from . import _forks, _load, _pinned  # before bytecode is switched off, and before any fork

CONTROL = 3
DIAGNOSIS = 4
# Output of one task that may be on its way to the boss's disk.
WINDOW = 256 * 1024


def main(arguments):
    pipedef = arguments[0]
    settings = json.loads(arguments[1])
    control = socket.socket(fileno=CONTROL)
    # fd 2 as the boss made it stays aside for reports about this process; what is printed to 1 and 2 is one stream.
    os.dup2(2, DIAGNOSIS, inheritable=False)
    os.dup2(1, 2)
    os.set_inheritable(CONTROL, False)
    # Not into the author's repo.
    sys.dont_write_bytecode = True
    _limit_memory(settings["memoryBytes"])
    _adopt_orphans()
    bridge = _Bridge(control, settings["stallTimeoutMs"] / 1000)
    message = bridge.receive_line()
    if not message or message["type"] != "load":
        os._exit(0)
    _pinned.pin(message["sources"])
    with _DieWithBoss():
        loaded = _load_pipedef(pipedef, bridge)
    bridge.serve(loaded)


def _load_pipedef(pipedef, bridge):
    import faulthandler

    sys.path[0] = os.path.dirname(pipedef)
    sys.argv[:] = [pipedef]
    # The boss asks where a pipedef that does not end loading is stuck.
    faulthandler.register(signal.SIGUSR1, file=DIAGNOSIS, all_threads=False)
    bridge.send({"type": "loading"})
    try:
        return _load.load(pipedef)
    except _load.Problem as trouble:
        bridge.send({"type": "problem", "problem": trouble.problem, "files": trouble.files})
        _leave()
    finally:
        faulthandler.unregister(signal.SIGUSR1)


class _DieWithBoss:
    """While the pipedef loads nobody listens to the boss, so the kernel watches: should the boss vanish, SIGIO
    ends this process group, even out of a loop of C code."""

    def __enter__(self):
        if hasattr(os, "O_ASYNC"):
            fcntl.fcntl(CONTROL, fcntl.F_SETOWN, -os.getpgrp())
            self._flags = fcntl.fcntl(CONTROL, fcntl.F_GETFL)
            fcntl.fcntl(CONTROL, fcntl.F_SETFL, self._flags | os.O_ASYNC)

    def __exit__(self, *_):
        if hasattr(os, "O_ASYNC"):
            fcntl.fcntl(CONTROL, fcntl.F_SETFL, self._flags & ~os.O_ASYNC)


class _Bridge:
    def __init__(self, control, patience_s):
        self._control = control
        self._patience_s = patience_s
        self._received = b""
        self._loaded = None
        self._forks = None

    def send(self, message, payload=b""):
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n" + payload)
        except OSError:
            self._stop()  # the boss is gone

    def receive_line(self):
        while b"\n" not in self._received:
            data = self._control.recv(65536)
            if not data:
                return None
            self._received += data
        line, self._received = self._received.split(b"\n", 1)
        return json.loads(line)

    def serve(self, loaded):
        import gc

        self._loaded = loaded
        self._forks = _forks.Forks(self, loaded.root, WINDOW, self._patience_s)
        self.send({"type": "loaded", "pipeline": loaded.pipeline, "files": loaded.files})
        self._take_back_output()
        # What is loaded by now is shared by all tasks; the collector would touch and so copy its pages.
        gc.collect()
        gc.freeze()
        self._forks.watch(CONTROL, self._hear_boss)
        while True:
            self._forks.step()

    def _take_back_output(self):
        """What threads of the pipedef print from now on also comes by messages; the boss sees the end of fd 1."""
        read, write = os.pipe()
        os.set_blocking(read, False)
        os.dup2(write, 1)
        os.dup2(write, 2)
        os.close(write)
        self._printed = read

        def forward():
            data = os.read(read, 65536)
            self.send({"type": "printed", "bytes": len(data)}, data)

        self._forks.watch(read, forward)

    def _hear_boss(self):
        data = self._control.recv(65536)
        if not data:
            self._stop()
        self._received += data
        while b"\n" in self._received:
            line, self._received = self._received.split(b"\n", 1)
            self._obey(json.loads(line))

    def _obey(self, message):
        kind = message["type"]
        key = message["task"]
        if kind == "start":
            self._start(key, message["stage"], message["name"])
        elif kind == "acknowledge":
            self._forks.acknowledge(key, message["bytes"])
        elif kind == "result":
            self._forks.answer(key, message["call"], message["outcome"])
        elif kind == "cancel":
            self._forks.signal(key, signal.SIGKILL)

    def _start(self, key, stage, name):
        function = self._loaded.functions.get((stage, name))
        if function is None:
            self.ended(key, _errored("the pipedef has no task %s in stage %s" % (name, stage)))
            return
        try:
            pid = self._forks.start(key, function, close_in_child=[CONTROL, DIAGNOSIS, self._printed])
        except OSError as error:
            self.ended(key, _errored("no process for the task: %s" % error))
        else:
            self.send({"type": "started", "task": key, "pid": pid})

    def _stop(self):
        if self._forks is not None:
            self._forks.stop()
        _leave()

    # What Forks tells

    def output(self, key, data):
        self.send({"type": "output", "task": key, "bytes": len(data)}, data)

    def call(self, key, number, message):
        self.send({"type": "call", "task": key, "call": number, "worker": message["worker"], "request": message["request"]})

    def abandoned(self, key, number):
        self.send({"type": "abandoned", "task": key, "call": number})

    def exited(self, key):
        self.send({"type": "exited", "task": key})

    def ended(self, key, end):
        self.send({"type": "ended", "task": key, "end": end})


def _errored(message):
    return {"status": "errored", "fault": {"message": message}}


def _leave():
    """Ends this process; what the pipedef registered for the end of the program (temporary folders) is run."""
    import atexit

    try:
        atexit._run_exitfuncs()
    except BaseException:
        pass
    os._exit(0)


def _limit_memory(size):
    """Counts what is written to (heap, stacks of threads), not what is only reserved, as RLIMIT_AS would."""
    import resource
    import threading

    try:
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = size if hard == resource.RLIM_INFINITY else min(size, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    except (ValueError, OSError):
        return  # not on this system
    # The usual 8 MiB a thread would let a pool of sixty run into the limit without using any of it.
    threading.stack_size(2 * 2**20)


def _adopt_orphans():
    """What a task leaves behind in a session of its own comes back to this process, which ends it with the run."""
    try:
        import ctypes

        libc = ctypes.CDLL(None)
        pr_set_child_subreaper = 36
        libc.prctl(pr_set_child_subreaper, 1, 0, 0, 0)
        # printf of C code must not sit in a buffer while the task goes on, or be lost when it crashes.
        unbuffered = 2
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, unbuffered, 0)
    except (ImportError, AttributeError, OSError, ValueError):
        pass  # not on this system

