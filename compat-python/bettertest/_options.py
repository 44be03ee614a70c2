"""From the arguments of run() to the request a worker understands. A mistake is named with its option."""

import math
import re

_OPTIONS = ("env", "workdir", "user", "timeout", "cpus", "memory", "network", "check")
_TARGET = ("worker", "image", "command")
_SHAPE = "run() takes (worker, image, command) or (image, command), then options by name"
_MS_PER_UNIT = {"ms": 1, "s": 1000, "m": 60000, "h": 3600000}


class Call:
    __slots__ = ("worker", "request", "check")

    def __init__(self, worker, request, check):
        self.worker = worker
        self.request = request
        self.check = check


def parse_call(positional, options):
    options = dict(options)
    target = {name: options.pop(name) for name in _TARGET if name in options}
    unnamed = [name for name in _TARGET if name not in target]
    if "worker" in unnamed and len(positional) == len(unnamed) - 1:
        unnamed.remove("worker")
    if len(positional) != len(unnamed):
        raise TypeError("%s; got %d without a name" % (_SHAPE, len(positional)))
    target.update(zip(unnamed, positional))
    for name in options:
        if name not in _OPTIONS:
            raise TypeError("run() has no option %r%s" % (name, _suggest(name)))

    request = {
        "image": _text("image", target.get("image")),
        "command": _text("command", target.get("command")),
    }
    for name, key, read in (
        ("env", "env", _env),
        ("workdir", "workdir", _workdir),
        ("user", "user", _user),
        ("timeout", "timeoutMs", _timeout_ms),
        ("cpus", "cpus", _cpus),
        ("memory", "memoryBytes", _memory_bytes),
        ("network", "network", _flag),
    ):
        if options.get(name) is not None:
            request[key] = read(name, options[name])
    check = _flag("check", options.get("check", True))
    return Call(_worker(target.get("worker")), request, check)


def _suggest(name):
    import difflib

    near = difflib.get_close_matches(name, _OPTIONS, 1)
    return "; did you mean %r?" % near[0] if near else "; it has " + ", ".join(_OPTIONS)


def _wrong(name, value, wanted):
    kind = TypeError if not isinstance(value, (str, int, float)) or isinstance(value, bool) else ValueError
    return kind("run(): %s must be %s, not %r" % (name, wanted, value))


def _text(name, value):
    if not isinstance(value, str) or not value:
        raise _wrong(name, value, "a string that is not empty")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise _wrong(name, value, "text that UTF-8 can hold") from None
    return value


def _worker(value):
    if value is None:
        return None
    if not isinstance(value, str) or not re.match(r"https?://[^/]", value):
        raise _wrong("worker", value, 'a URL such as "http://localhost:9009"')
    return value


def _env(name, value):
    try:
        pairs = dict(value)
    except (TypeError, ValueError):
        raise _wrong(name, value, "a dict of strings") from None
    for key, text in pairs.items():
        if not isinstance(key, str) or not key or "=" in key or "\0" in key:
            raise _wrong("a name in env", key, "a string without '='")
        if not isinstance(text, str) or "\0" in text:
            raise _wrong("env[%r]" % key, text, "a string")
    return pairs


def _workdir(name, value):
    if not isinstance(value, str) or not value.startswith("/"):
        raise _wrong(name, value, "an absolute path inside the sandbox")
    return value


def _user(name, value):
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    return _text(name, value)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _timeout_ms(name, value):
    wanted = 'seconds above 0 or a time such as "90s" or "5m"'
    if _is_number(value):
        ms = value * 1000
    else:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", value.strip()) if isinstance(value, str) else None
        if not match:
            raise _wrong(name, value, wanted)
        ms = float(match.group(1)) * _MS_PER_UNIT[match.group(2) or "s"]
    if ms <= 0:
        raise _wrong(name, value, wanted)
    return max(1, round(ms))


def _cpus(name, value):
    if not _is_number(value) or value <= 0:
        raise _wrong(name, value, "a number above 0")
    return value


def _memory_bytes(name, value):
    wanted = 'bytes or a size such as "512m" or "2g"'
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    else:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower()) if isinstance(value, str) else None
        if not match:
            raise _wrong(name, value, wanted)
        size = int(float(match.group(1)) * 1024 ** (" kmgt".index(match.group(2)) if match.group(2) else 0))
    if size <= 0:
        raise _wrong(name, value, wanted)
    return size


def _flag(name, value):
    if not isinstance(value, bool):
        raise _wrong(name, value, "True or False")
    return value
