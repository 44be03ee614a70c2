"""From a loaded module to its stages and tasks. Reads only; no task runs."""

import types

from ._paths import relative, source_lines
from ._services import of_stage, set_stage
from ._stage import Stage


def is_stage(value):
    return isinstance(value, type) and issubclass(value, Stage) and value is not Stage


def find_stages(module, root):
    stages = []
    functions = {}
    seen = set()
    for name, value in list(vars(module).items()):
        if not is_stage(value) or value in seen:
            continue
        seen.add(value)
        tasks = find_tasks(value)
        if not tasks:
            continue
        of_stage(value)  # so that what cannot be is told when the pipedef is loaded
        definitions = []
        for task, raw in tasks.items():
            functions[name, task] = _caller(value, task, raw)
            location = _location(raw, root)
            definition = {"name": task}
            if location:
                definition["location"] = location
            retries = _retries(value, task)
            if retries:
                definition["retries"] = retries
            definitions.append(definition)
        stages.append({"name": name, "always": bool(value.always), "tasks": definitions})
    return stages, functions


def _retries(stage, task):
    retries = stage.retries.get(task, 0) if isinstance(stage.retries, dict) else stage.retries
    if type(retries) is not int or not 0 <= retries <= 100:
        raise ValueError("stage %s: retries of %s must be a whole number from 0 to 100" % (stage.__name__, task))
    return retries


def find_tasks(stage):
    """Inherited tasks first, in the order of their classes; an override keeps its place."""
    tasks = {}
    for owner in reversed(stage.__mro__):
        for name, raw in vars(owner).items():
            if name.startswith("task_") or _is_build(name, raw):
                tasks[name] = raw
    return {name: raw for name, raw in tasks.items() if _is_function(raw)}


def _is_build(name, raw):
    """One that wants something is a helper, which the tasks call."""
    code = getattr(_unwrap(raw), "__code__", None)
    if not name.startswith("build_") or code is None:
        return False
    return code.co_kwonlyargcount == 0 and code.co_varnames[: code.co_argcount] in ((), ("self",), ("cls",))


def _is_function(raw):
    return isinstance(raw, (staticmethod, classmethod)) or (callable(raw) and not isinstance(raw, type))


def _caller(stage, name, raw):
    """A task may be written with or without @staticmethod, as a classmethod, or as a method with self."""

    def call():
        set_stage(stage)
        function = _unwrap(raw)
        if isinstance(raw, types.FunctionType) and _needs_self(function):
            return getattr(stage(), name)()
        return getattr(stage, name)()

    return call


def _needs_self(function):
    code = getattr(function, "__code__", None)
    return code is not None and code.co_argcount > len(function.__defaults__ or ())


def _unwrap(raw):
    function = raw.__func__ if isinstance(raw, (staticmethod, classmethod)) else raw
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    return function


def _location(raw, root):
    code = getattr(_unwrap(raw), "__code__", None)
    if code is None:
        return None
    line = code.co_firstlineno
    # The first line of a decorated function is its decorator's.
    for number, text in enumerate(source_lines(code.co_filename)[line - 1 :], line):
        if text.lstrip().startswith(("def ", "async def ", "lambda")):
            line = number
            break
    return {"file": relative(code.co_filename, root), "line": line}
