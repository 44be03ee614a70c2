"""One process per task, forked from this one, in which the pipedef is already loaded.

A task talks to its parent over two things. Its output is a real pipe, so that `> /dev/stdout` works in its
children. Its calls come over a socket on which it only ever sends one byte with one file descriptor: a fresh
socket for that call alone. So threads and processes of a task call side by side without a lock or a reader.
"""

import array
import fcntl
import json
import os
import selectors
import signal
import socket
import termios
import time
import warnings

from . import _task
from ._child import become_task
from ._process import TaskCall, TaskProcess, how_it_ended
from ._task import thrown

# How long processes that a task left running may go without a call, all in all, before they are given up.
PATIENCE_S = 30
# How long something that outlives its task (a daemon) may keep the task's output open.
GRACE_S = 0.2
READ_SIZE = 65536


class Forks:
    """`listener` has output(key, data), call(key, number, message), abandoned(key, number), exited(key) and
    ended(key, how). At most `window` bytes of a task's output are handed out before acknowledge() is called;
    what comes after stays in the pipe and slows the task."""

    def __init__(self, listener, root, window, patience_s=PATIENCE_S):
        self._selector = selectors.DefaultSelector()
        self._callbacks = {}
        self._listener = listener
        self._root = root
        self._window = window
        self._patience_s = patience_s
        self._by_key = {}
        self._by_pid = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        # After the pipedef's import, so that handlers it sets cannot hide an ended task.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self.watch(self._wake_read, self._children_changed)

    def count(self):
        return len(self._by_key)

    def watch(self, fd, callback):
        self._callbacks[fd] = callback
        self._selector.register(fd, selectors.EVENT_READ)

    def unwatch(self, fd):
        del self._callbacks[fd]
        self._selector.unregister(fd)

    # Commands

    def start(self, key, function, carry=None, close_in_child=()):
        """`carry` makes the calls inside the task's own process; without one they come to the listener."""
        output, output_write = os.pipe()
        control, control_child = socket.socketpair()
        lifeline, lifeline_child = os.pipe()
        _task.flush()
        try:
            with warnings.catch_warnings():
                # Python 3.12 warns of forks beside threads; the pipedef's warnings already say so, once.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
        except OSError:
            for fd in (output, output_write, lifeline, lifeline_child):
                os.close(fd)
            control.close()
            control_child.close()
            raise
        if pid == 0:
            try:
                os.close(output)
                os.close(lifeline)
                control.close()
                for fd in close_in_child:
                    os.close(fd)
                self._close_all()
                become_task(function, self._root, carry, output_write, control_child, lifeline_child)
            finally:
                os._exit(70)
        os.close(output_write)
        os.close(lifeline_child)
        control_child.close()
        os.set_blocking(output, False)
        control.setblocking(False)
        process = TaskProcess(key, pid, output, control, lifeline, self._patience_s)
        self._by_key[key] = process
        self._by_pid[pid] = process
        self._read_on(process)
        self.watch(control.fileno(), lambda: self._take_call(process))
        self.watch(lifeline, lambda: self._let_go(process))
        return pid

    def acknowledge(self, key, size):
        process = self._by_key.get(key)
        if process:
            process.unacknowledged -= size
            self._read_on(process)

    def answer(self, key, number, outcome):
        process = self._by_key.get(key)
        call = process and process.running.pop(number, None)
        if call:
            self._answer(process, call, outcome)

    def _answer(self, process, call, outcome):
        if process.end_call and call.message["check"] and call.message["unheeded"]:
            process.late.append({"request": call.message["request"], "outcome": outcome})
        self._reply(call, outcome)
        self._answer_end(process)

    def signal(self, key, number):
        process = self._by_key.get(key)
        if process and process.status is None:
            _kill_group(process.pid, number)

    def step(self, timeout=None):
        """Waits for something to happen and deals with it."""
        now = time.monotonic()
        waits = [process.stop_at - now for process in self._ending()]
        waits += [process.give_up_at - now for process in self._waiting()]
        if timeout is not None:
            waits.append(timeout)
        for ready, _ in self._selector.select(max(0, min(waits)) if waits else None):
            # An earlier callback of this round may have closed it.
            callback = self._callbacks.get(ready.fd)
            if callback:
                callback()
        now = time.monotonic()
        for process in self._waiting():
            if process.give_up_at <= now:
                self._give_up(process)
        for process in self._ending():
            if process.stop_at <= now and process.last_byte is None:
                process.last_byte = process.read_bytes + _unread(process.output)
                self._settle(process)

    def stop(self):
        """Kills every task and waits until all have ended, and whatever else has this process as its parent."""
        for process in self._by_key.values():
            if process.status is None:
                _kill_group(process.pid, signal.SIGKILL)
        while True:
            for pid in _children():
                _kill_group(pid, signal.SIGKILL)
            try:
                os.wait()
            except ChildProcessError:
                return

    # In the task's process

    def _close_all(self):
        # Only the descriptors: unregistering would reach into the epoll instance that the parent still uses.
        self._selector.close()
        for process in self._by_key.values():
            if process.output is not None:
                os.close(process.output)
            if process.control is not None:
                process.control.close()
            if process.lifeline is not None:
                os.close(process.lifeline)
            for call in [*process.calls, *process.running.values()]:
                call.socket.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    # Output

    def _read_on(self, process):
        room = process.unacknowledged < self._window
        if room == process.reading or process.at_end:
            return
        process.reading = room
        if room:
            self.watch(process.output, lambda: self._read(process))
        else:
            self.unwatch(process.output)

    def _read(self, process):
        if not process.reading:
            return
        try:
            data = os.read(process.output, READ_SIZE)
        except BlockingIOError:
            return
        if data:
            process.read_bytes += len(data)
            process.unacknowledged += len(data)
            self._listener.output(process.key, data)
            self._read_on(process)
        else:
            process.at_end = True
            process.reading = False
            self.unwatch(process.output)
        self._settle(process)

    # Calls

    def _take_call(self, process):
        try:
            byte, fds, _, _ = socket.recv_fds(process.control, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            byte, fds = b"", []
        if not byte:
            self.unwatch(process.control.fileno())
            process.control.close()
            process.control = None
            return
        for fd in fds:
            connection = socket.socket(fileno=fd)
            connection.setblocking(False)
            call = TaskCall(connection)
            process.calls.append(call)
            self.watch(connection.fileno(), lambda call=call: self._hear(process, call))
        self._answer_end(process)

    def _hear(self, process, call):
        try:
            data = call.socket.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._hang_up(process, call)
            return
        call.received += data
        # Looked for in what is new only: a message may be large.
        if b"\n" not in data:
            return
        *lines, call.received = call.received.split(b"\n")
        if call.message is None:
            call.message = json.loads(lines.pop(0))
            # What was printed before the call is in the pipe by now, so it goes first.
            call.mark = process.read_bytes + _unread(process.output)
            self._settle(process)
        if lines:
            self._hear_of_outcome(process, call, json.loads(lines[0]))

    def _hear_of_outcome(self, process, call, outcome):
        """Its caller has carried it itself, or gives it up."""
        if outcome is None:
            self._hang_up(process, call, given_up=True)
            return
        if call in process.calls:
            process.calls.remove(call)
        else:
            del process.running[call.number]
        self._answer(process, call, outcome)

    def _hang_up(self, process, call, given_up=False):
        """Its caller is gone."""
        self._close_call(call)
        if call is process.end_call:
            # It did not wait for what its other processes have to say.
            process.end_call = process.end = None
            return
        if not given_up and call.message and call.message.get("check"):
            process.died_calling = True
        # Most often because the whole process has ended, of which the kernel tells a moment later.
        process.unfinished += 1
        if call in process.calls:
            process.calls.remove(call)
        elif process.running.pop(call.number, None):
            self._listener.abandoned(process.key, call.number)
        self._answer_end(process)

    def _reply(self, call, message):
        call.socket.setblocking(True)
        try:
            call.socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass  # its caller is gone
        self._close_call(call)

    def _close_call(self, call):
        self.unwatch(call.socket.fileno())
        call.socket.close()

    def _answer_end(self, process):
        if not process.end_call:
            return
        if process.running or process.calls:
            if process.give_up_at is not None:
                process.patience_s = process.give_up_at - time.monotonic()
                process.give_up_at = None
        elif process.lifeline is not None:
            if process.give_up_at is None:
                process.give_up_at = time.monotonic() + process.patience_s
        else:
            if process.died_calling:
                process.failed.append(thrown("a process of the task ended while its run() was still under way"))
            self._reply(process.end_call, {"failed": process.failed, "late": process.late})
            process.end_call = None

    def _waiting(self):
        return [p for p in self._by_key.values() if p.give_up_at is not None]

    def _give_up(self, process):
        """A command that one of them has yet to ask for would never run, so this is no pass."""
        message = "a process that the task started did not end, though the task had; wait for it or end it in the task"
        process.failed.append(thrown(message))
        self._let_go(process)

    def _let_go(self, process):
        self.unwatch(process.lifeline)
        os.close(process.lifeline)
        process.lifeline = None
        process.give_up_at = None
        self._answer_end(process)

    # The end

    def _children_changed(self):
        try:
            os.read(self._wake_read, 4096)
        except BlockingIOError:
            pass
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            process = self._by_pid.get(pid)
            if process and process.status is None:
                self._exited(process, status)

    def _exited(self, process, status):
        # What it left running in its process group ends with it.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass  # nothing is left
        # Its last words may still be in the sockets.
        while process.control is not None:
            if not _readable(process.control):
                break
            self._take_call(process)
        for call in list(process.calls):
            while call.message is None and call in process.calls and _readable(call.socket):
                self._hear(process, call)
        process.failed += [call.message["end"] for call in process.calls if call.message and call.message["type"] == "failed"]
        if process.end_call:
            self._hang_up(process, process.end_call)
        process.status = status
        process.give_up_at = None
        process.stop_at = time.monotonic() + GRACE_S
        process.unfinished += len(process.running) + len(process.calls)
        for call in list(process.calls):
            self._close_call(call)
        process.calls = []
        for number, call in list(process.running.items()):
            self._close_call(call)
            self._listener.abandoned(process.key, number)
        process.running = {}
        self._listener.exited(process.key)
        self._settle(process)

    def _ending(self):
        return [p for p in self._by_key.values() if p.status is not None and p.last_byte is None]

    def _settle(self, process):
        """Does what waited for output to be read: passes calls on, ends the task."""
        for call in list(process.calls):
            if call.mark is None or (call.mark > process.read_bytes and not process.at_end):
                continue
            process.calls.remove(call)
            if call.message["type"] == "end":
                process.end = call.message["end"]
                process.end_call = call
                continue
            if call.message["type"] == "failed":
                process.failed.append(call.message["end"])
                self._reply(call, {})
                continue
            process.call_count += 1
            call.number = process.call_count
            process.running[call.number] = call
            self._listener.call(process.key, call.number, call.message)
        self._answer_end(process)
        if process.status is None or process.key not in self._by_key:
            return
        if process.at_end or (process.last_byte is not None and process.read_bytes >= process.last_byte):
            self._forget(process)

    def _forget(self, process):
        del self._by_key[process.key]
        del self._by_pid[process.pid]
        if process.reading:
            process.reading = False
            self.unwatch(process.output)
        os.close(process.output)
        if process.control is not None:
            self.unwatch(process.control.fileno())
            process.control.close()
        if process.lifeline is not None:
            self._let_go(process)
        self._listener.ended(process.key, how_it_ended(process))


def _unread(fd):
    buffer = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, buffer)
    return buffer[0]


def _readable(sock):
    with selectors.DefaultSelector() as selector:
        selector.register(sock, selectors.EVENT_READ)
        return bool(selector.select(0))


def _kill_group(pid, number):
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        # Not yet the leader of its group, or the group is empty.
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def _children():
    try:
        with open("/proc/self/task/%d/children" % os.getpid()) as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []
