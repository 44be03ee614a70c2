"""From the arguments of run() to the request a worker understands, with the words of runtime/run-options.ts."""

import math
import re

from ._cache import checked_caches
from ._services import checked as checked_services
from ._services import default_services
from ._source import checked, default_source

_TARGET = ("worker", "image", "command")
_OPTIONS = ("env", "secrets", "workdir", "user", "timeout", "cpus", "memory", "disk", "pids", "network", "source", "results", "artifacts", "cache", "services", "check")
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
        raise TypeError(
            "run: takes (worker, image, command) or (image, command), and options by name; got %d values without one"
            % len(positional)
        )
    target.update(zip(unnamed, positional))

    # What image() gave brings along how it is made, for a worker that has to build it first.
    recipe = getattr(target["image"], "_recipe", None)
    name = target["image"] if recipe is None else str(target["image"])
    request = {"image": image_name("image", name), "command": _command(target["command"])}
    if recipe is not None:
        request["build"] = recipe
    check = True
    source = default_source()
    services = default_services()
    for name, value in options.items():
        if name not in _OPTIONS:
            raise TypeError("run: there is no option %s. There are: %s" % (name, ", ".join(_OPTIONS)))
        if value is None:
            continue
        if name == "check":
            check = _flag(name, value)
        elif name == "source":
            source = checked(value)
        elif name == "services":
            services = checked_services("run", value)
        else:
            key, read = _READERS[name]
            request[key] = read(name, value)
    if source.asked is not None:
        request["source"] = source.asked
    if services:
        request["services"] = services
    for name in request.get("secrets", ()):
        if name in request.get("env", ()):
            raise _bad("secrets", name, "must name nothing that env sets")
    return Call(_worker(target.get("worker")), request, check)


def _bad(name, value, rule):
    return _bad_of("run", name, value, rule)


def _bad_of(function, name, value, rule):
    kind = ValueError if isinstance(value, (str, int, float)) else TypeError
    return kind("%s: %s %s, not %s" % (function, name, rule, repr(value)[:200]))


def _is_text(value):
    """Text that can be sent and that a program can be started with."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return False
    return True


def image_name(name, value):
    if not _is_text(value) or not re.fullmatch(r"\S+", value):
        raise _bad(name, value, "must be the name of an image, or what image() gave")
    return value


def _command(value):
    if not _is_text(value) or not value.strip():
        raise _bad("command", value, "must be a text that sh can run")
    return value


def _worker(value):
    if value is None or (_is_text(value) and re.match(r"https?://[^/\s]", value)):
        return value
    raise _bad("worker", value, 'must be a URL, such as "http://localhost:9009"')


def _env(name, value):
    try:
        pairs = dict(value)
    except (TypeError, ValueError):
        raise _bad(name, value, "must be a dict of texts") from None
    for key, text in pairs.items():
        if not _is_text(key) or not key or "=" in key:
            raise _bad(name, key, "has a name that no variable can have")
        if not _is_text(text):
            raise _bad("%s[%r]" % (name, key), text, "must be a text")
    return pairs


def _secrets(name, value):
    if not isinstance(value, (list, tuple, set, frozenset)):
        raise _bad(name, value, 'must be a list of names, ["NPM_TOKEN"]')
    for secret in value:
        if not isinstance(secret, str) or not re.fullmatch(r"[A-Za-z_]\w*", secret, re.ASCII):
            raise _bad(name, secret, "must hold names of variables")
    return sorted(value) if isinstance(value, (set, frozenset)) else list(value)


def _workdir(name, value):
    if not _is_text(value) or not value.startswith("/"):
        raise _bad(name, value, "must be an absolute path inside the sandbox")
    return value


def _user(name, value):
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return str(value)
    if not _is_text(value) or not value:
        raise _bad(name, value, 'must be "name", "uid" or "uid:gid"')
    return value


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _timeout_ms(name, value):
    ms = 0
    if _is_number(value):
        ms = value * 1000
    elif isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h)?", value.strip())
        ms = float(match.group(1)) * _MS_PER_UNIT[match.group(2) or "s"] if match else 0
    if ms <= 0:
        raise _bad(name, value, 'must be seconds, or a text such as "90s" or "5m"')
    return max(1, round(ms))


def _cpus(name, value):
    if not _is_number(value) or value <= 0:
        raise _bad(name, value, "must be a number above 0, such as 1.5")
    return value


def _bytes(name, value):
    size = 0
    if isinstance(value, int) and not isinstance(value, bool):
        size = value
    elif isinstance(value, str):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
        size = int(float(match.group(1)) * 1024 ** ("kmgt".find(match.group(2) or " ") + 1)) if match else 0
    if size <= 0:
        raise _bad(name, value, 'must be bytes, or a text such as "512m" or "2g"')
    return size


def _pids(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise _bad(name, value, "must be a whole number above 0, such as 512")
    return value


def _patterns(name, value):
    patterns = [value] if isinstance(value, str) else value
    if not isinstance(patterns, (list, tuple)):
        raise _bad(name, value, "must be a path or a pattern, or a list of them")
    if len(patterns) > 100:
        raise _bad(name, value, "must hold at most 100 patterns")
    for pattern in patterns:
        if not _is_text(pattern) or not 0 < len(pattern) <= 1024:
            raise _bad(name, pattern, "must be a path or a pattern of at most 1024 characters")
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise _bad(name, pattern, "must stay in the folder that the command starts in")
        if pattern.endswith("/") or not pattern.strip("./"):
            raise _bad(name, pattern, "must name files, such as dist/**")
    return list(patterns)


def _cache(name, value):
    return checked_caches(value)


def _flag(name, value):
    if not isinstance(value, bool):
        raise _bad(name, value, "must be True or False")
    return value


_READERS = {
    "env": ("env", _env),
    "secrets": ("secrets", _secrets),
    "workdir": ("workdir", _workdir),
    "user": ("user", _user),
    "timeout": ("timeoutMs", _timeout_ms),
    "cpus": ("cpus", _cpus),
    "memory": ("memoryBytes", _bytes),
    "disk": ("diskBytes", _bytes),
    "pids": ("pids", _pids),
    "network": ("network", _flag),
    "results": ("results", _patterns),
    "artifacts": ("artifacts", _patterns),
    "cache": ("cache", _cache),
}


def option_reader(name):
    """The request's name of an option, and what checks its value."""
    return _READERS[name]
