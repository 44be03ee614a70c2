"""Has a worker run a command, by its HTTP contract (src/wire/worker.ts): events as SSE, output as plain bytes."""

import http.client
import json
import os
import threading
import urllib.parse
import uuid

from ._task import write_all

CONNECT_TIMEOUT_S = 10
# A worker sends a sign of life every 15 s. One that is silent for so long is lost.
SILENCE_S = 45
STDOUT = 1


class WorkerLost(Exception):
    pass


class Workers:
    """Carries the calls of one task. What a command prints goes to the task's stdout as it comes."""

    def __init__(self, default_url, access):
        self._default_url = default_url
        self._access = access
        self._running = {}

    def carry(self, worker, request, check):
        if request.get("secrets"):
            return {
                "kind": "faulted",
                "message": "the command asks for the secret %s, which only a boss has and masks" % request["secrets"][0],
                "hint": "Run it with: bettertest run --secrets-file FILE",
            }
        if "services" in request:
            return {
                "kind": "faulted",
                "message": "the command asks for services, whose output only a boss keeps",
                "hint": "Run it with: bettertest run",
            }
        if "filesBuild" in request:
            return {
                "kind": "faulted",
                "message": "the command is a build, whose files only a boss keeps",
                "hint": "Run it with: bettertest run",
            }
        if "source" in request or "build" in request:
            return {
                "kind": "faulted",
                "message": "the command asks for a source, which only a boss can bring to a worker",
                "hint": "Run it with: bettertest run",
            }
        # A command must be able to do without a cache, and its exit code counts in any case.
        unheard = [option for option in ("results", "artifacts", "cache") if option in request]
        if unheard:
            text = "bettertest: %s: of use with a boss only (bettertest run)\n" % ", ".join(unheard)
            write_all(STDOUT, text.encode())
            request = {name: value for name, value in request.items() if name not in unheard}
        url = (worker or self._default_url).rstrip("/")
        execution = uuid.uuid4().hex
        self._running[execution] = url
        try:
            return self._execute(url, execution, request)
        finally:
            forget(url, execution, self._access)
            self._running.pop(execution, None)

    def cancel(self):
        """Ends the commands that are under way."""
        for execution, url in list(self._running.items()):
            forget(url, execution, self._access)

    def _execute(self, url, execution, request):
        path = "/executions/" + execution
        try:
            events = _open(url, "PUT", path, self._access, json.dumps(request).encode())
        except (OSError, http.client.HTTPException) as error:
            return {
                "kind": "faulted",
                "message": "worker %s did not answer (%s)" % (url, _cause(error)),
                "hint": "Is it running? Try: curl %s/health" % url,
            }
        copy = None
        try:
            with events:
                if events.status != 200:
                    raise WorkerLost(_refusal(events))
                copy = _OutputCopy(url, path, self._access)
                for event in _read_sse(events):
                    if event["type"] == "finished":
                        copy.wait(event["outputBytes"])
                        return event["outcome"]
            raise WorkerLost("the connection was closed before the command ended")
        except WorkerLost as lost:
            return {"kind": "faulted", "message": "worker %s: %s" % (url, lost)}
        except (OSError, http.client.HTTPException) as error:
            return {
                "kind": "faulted",
                "message": "worker %s was lost while it ran the command (%s)" % (url, _cause(error)),
                "hint": "Is it still running? Try: curl %s/health" % url,
            }
        finally:
            if copy:
                copy.end()


class _OutputCopy:
    def __init__(self, url, path, access):
        self._received = 0
        self._trouble = None
        self._response = _open(url, "GET", path + "/output", access, silence_s=None)
        if self._response.status != 200:
            raise WorkerLost(_refusal(self._response))
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def _copy(self):
        try:
            while True:
                data = self._response.read1(65536)
                if not data:
                    return
                self._received += len(data)
                write_all(STDOUT, data)
        except (OSError, ValueError, AttributeError, http.client.HTTPException) as error:
            self._trouble = error  # also when end() closed the connection

    def wait(self, expected):
        self._thread.join()
        if self._received < expected:
            cause = " (%s)" % _cause(self._trouble) if self._trouble else ""
            raise WorkerLost("the output ended after %d of %d bytes%s" % (self._received, expected, cause))

    def end(self):
        self._response.cut()
        self._thread.join()


class _Response(http.client.HTTPResponse):
    connection = None

    def cut(self):
        """Ends a read that another thread waits in, too; close() alone would not."""
        import socket

        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self.connection.close()

    def __exit__(self, *error):
        self.cut()


def _open(url, method, path, access, body=None, silence_s=SILENCE_S, timeout_s=CONNECT_TIMEOUT_S):
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port, timeout=timeout_s, context=access.context
        )
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    connection.response_class = _Response
    try:
        headers = access.headers(url)
        if body is not None:
            headers["content-type"] = "application/json"
        connection.request(method, parts.path.rstrip("/") + path, body, headers)
        sock = connection.sock
        response = connection.getresponse()
        # A response that ends with the connection takes the socket over.
        connection.sock = sock
        sock.settimeout(silence_s)
    except BaseException:
        connection.close()
        raise
    response.connection = connection
    return response


def forget(url, execution, access):
    """Cancels the execution if it still runs; and the worker need not keep its output any longer."""
    try:
        with _open(url, "DELETE", "/executions/" + execution, access, timeout_s=5):
            pass
    except (OSError, http.client.HTTPException):
        pass  # gone, and what it ran with it


def slots(url, access):
    """How many commands the worker runs at a time, or None if it does not say."""
    try:
        with _open(url.rstrip("/"), "GET", "/info", access, timeout_s=3) as response:
            return int(json.loads(response.read())["slots"]) if response.status == 200 else None
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return None


def _read_sse(response):
    data = []
    while True:
        line = response.readline()
        if not line:
            return
        line = line.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[5:].decode().removeprefix(" "))
        elif not line and data:
            yield json.loads("\n".join(data))
            data = []


def _refusal(response):
    text = response.read(4096).decode("utf-8", "replace")
    try:
        text = json.loads(text)["error"]
    except (ValueError, KeyError, TypeError):
        pass
    return "it answered %d: %s" % (response.status, text.strip() or response.reason)


def _cause(error):
    if isinstance(error, TimeoutError):
        return "no sign of life in time"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__
