"""What runs beside a command, as a pipedef names it. The words are those of runtime/services.ts."""

import re

_MOST = 16
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_NAME_RULE = "must be a name of lower-case letters, digits and dashes, such as db, and not localhost"
_SAME = ("env", "secrets", "user", "cpus", "memory", "disk", "pids")
_OPTIONS = ("image", "command") + _SAME + ("ready", "timeout")

_given = {"defaults": None, "stage": None}


def set_default(services):
    _given["defaults"] = None if services is None else checked("defaults", services)


def set_stage(stage):
    """To be called in the task's own process."""
    _given["stage"] = of_stage(stage)


def of_stage(stage):
    services = getattr(stage, "services", None)
    try:
        return None if services is None else checked("stage %s" % stage.__name__, services)
    except TypeError as error:
        raise ValueError(str(error)) from None


def default_services():
    return _given["defaults"] if _given["stage"] is None else _given["stage"]


def checked(what, given):
    if not isinstance(given, dict):
        raise TypeError(
            '%s: services must be a dict such as {"db": {"image": "postgres"}}, not %s' % (what, repr(given)[:200])
        )
    if len(given) > _MOST:
        raise ValueError("%s: services must not be more than %d" % (what, _MOST))
    services = {}
    for name, service in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "localhost":
            raise ValueError("%s: services: %r %s" % (what, name, _NAME_RULE))
        services[name] = _service("%s: services.%s" % (what, name), service)
    return services


def _service(what, given):
    from ._options import image_name, option_reader

    recipe = getattr(given, "_recipe", None)
    options = {"image": given} if isinstance(given, str) or recipe is not None else given
    if not isinstance(options, dict):
        raise TypeError("%s must be a dict with an image, not %s" % (what, repr(given)[:200]))
    # What image() gave brings along how it is made.
    image = options.get("image")
    recipe = getattr(image, "_recipe", None)
    service = {"image": _of(what, image_name, "image", image if recipe is None else str(image))}
    if recipe is not None:
        service["build"] = recipe
    for name, value in options.items():
        if name not in _OPTIONS:
            raise TypeError("%s: there is no option %s. There are: %s" % (what, name, ", ".join(_OPTIONS)))
        if value is None or name == "image":
            continue
        if name == "command":
            service["command"] = _command(what + ".command", value)
        elif name == "ready":
            service["ready"] = _ready(what + ".ready", value)
        elif name == "timeout":
            service["readyTimeoutMs"] = _of(what, option_reader(name)[1], name, value)
        else:
            key, read = option_reader(name)
            service[key] = _of(what, read, name, value)
    for secret in service.get("secrets", ()):
        if secret in service.get("env", ()):
            raise ValueError("%s.secrets must name nothing that env sets, not %r" % (what, secret))
    return service


def _of(what, read, name, value):
    try:
        return read(name, value)
    except (TypeError, ValueError) as error:
        raise type(error)("%s.%s" % (what, str(error).removeprefix("run: "))) from None


def _command(what, value):
    words = words_of(value) if isinstance(value, str) else value
    if (
        not isinstance(words, (list, tuple))
        or not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
    ):
        raise ValueError('%s must be a text, or a list of arguments such as ["redis-server"], not %r' % (what, value))
    return list(words)


# What JavaScript takes for white space: Python's own idea of it is another.
_SPACE = r"\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_PART = re.compile(
    r"""[%s]+|'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)|([^%s'"\\]+)""" % (_SPACE, _SPACE),
    re.DOTALL,
)


def words_of(text):
    """As a shell would split it that knows quotes and backslashes, but no variables; None: a quote is not closed."""
    words = []
    word = None
    end = 0
    while end < len(text):
        found = _PART.match(text, end)
        if found is None:
            return None
        end = found.end()
        single, double, escaped, plain = found.groups()
        if double is not None:
            double = re.sub(r"""\\(["\\$`])""", r"\1", double)
        part = next((one for one in (single, double, escaped, plain) if one is not None), None)
        if part is not None:
            word = (word or "") + part
        elif word is not None:
            words.append(word)
            word = None
    return words if word is None else words + [word]


def _ready(what, value):
    if isinstance(value, str) and value.strip() and "\0" not in value:
        return {"command": value}
    port = value["port"] if isinstance(value, dict) and list(value) == ["port"] else value
    if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536:
        return {"port": port}
    raise ValueError(
        '%s must be a command that succeeds when it is ready, or {"port": 5432}, not %s' % (what, repr(value)[:200])
    )
