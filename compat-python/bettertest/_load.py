"""Loads a pipedef: its stages and tasks in order, or the one problem that keeps it from loading."""

import ast
import importlib.machinery
import importlib.util
import os
import sys
import types

from ._run import context
from ._stage import Stage


class Loaded:
    """A pipedef ready to run. `functions` maps (stage, task) to what runs the task."""

    def __init__(self, root, pipeline, functions, files):
        self.root = root
        self.pipeline = pipeline
        self.functions = functions
        self.files = files


class Problem(Exception):
    """Why a pipedef cannot be used, as the PipedefProblem of runtime/host/host.ts."""

    def __init__(self, problem, files):
        super().__init__(problem["message"])
        self.problem = problem
        self.files = files


def repo_root(pipedef):
    folder = os.path.dirname(os.path.abspath(pipedef))
    return os.path.dirname(folder) if os.path.basename(folder) == ".bettertest" else folder


def load(pipedef):
    pipedef = os.path.abspath(pipedef)
    root = repo_root(pipedef)
    opened = _record_sources()
    context.loading = True
    try:
        module = _import_pipedef(pipedef)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: nothing at import is a red test
        raise Problem(_describe(error, pipedef, root), _author_files(pipedef, root, opened.paths)) from None
    finally:
        context.loading = False
        opened.stop()
    files = _author_files(pipedef, root, opened.paths)
    stages, functions = _find_stages(module, root)
    if not stages:
        raise Problem(_no_stage(module, pipedef, root), files)
    pipeline = {"stages": stages, "warnings": _warnings(module, pipedef, functions, root)}
    return Loaded(root, pipeline, functions, files)


def _import_pipedef(pipedef):
    name = _module_name(pipedef)
    spec = importlib.util.spec_from_file_location(
        name, pipedef, loader=importlib.machinery.SourceFileLoader(name, pipedef)
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _module_name(pipedef):
    """Its file name, so that a helper's `import pipedef` finds this one; but never the name of a module in use."""
    stem = os.path.basename(pipedef)[:-3]
    taken = stem in sys.modules or stem in getattr(sys, "stdlib_module_names", ())
    return stem if stem.isidentifier() and not taken else "__pipedef__"


class _record_sources:
    """Notes every source file that is read, also those that fail to compile and never become a module."""

    def __init__(self):
        self.paths = []
        loader = importlib.machinery.SourceFileLoader
        original = loader.get_data

        def get_data(this, path):
            self.paths.append(os.path.abspath(path))
            return original(this, path)

        loader.get_data = get_data

    def stop(self):
        del importlib.machinery.SourceFileLoader.get_data


def _author_files(pipedef, root, opened):
    # A module that was imported from its cached bytecode was never opened as source.
    imported = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    files = [pipedef]
    for path in [*opened, *(path for path in imported if isinstance(path, str))]:
        inside = path.startswith(root.rstrip(os.sep) + os.sep) and path.endswith(".py")
        if inside and path not in files and not _is_installed(path):
            files.append(path)
    return files


def _is_installed(path):
    own = os.path.dirname(os.path.abspath(__file__)) + os.sep
    prefix = os.path.abspath(sys.prefix) + os.sep
    return "site-packages" in path or path.startswith(own) or path.startswith(prefix)


# Stages and tasks


def _is_stage(value):
    return isinstance(value, type) and issubclass(value, Stage) and value is not Stage


def _find_stages(module, root):
    stages = []
    functions = {}
    seen = set()
    for name, value in list(vars(module).items()):
        if not _is_stage(value) or value in seen:
            continue
        seen.add(value)
        tasks = _find_tasks(value)
        if not tasks:
            continue
        definitions = []
        for task, raw in tasks.items():
            functions[name, task] = _caller(value, task, raw)
            location = _location(raw, root)
            definitions.append({"name": task, "location": location} if location else {"name": task})
        stages.append({"name": name, "always": bool(value.always), "tasks": definitions})
    return stages, functions


def _find_tasks(stage):
    """Inherited tasks first, in the order of their classes; an override keeps its place."""
    tasks = {}
    for owner in reversed(stage.__mro__):
        for name, raw in vars(owner).items():
            if name.startswith("task_"):
                tasks[name] = raw
    return {name: raw for name, raw in tasks.items() if _is_function(raw)}


def _is_function(raw):
    return isinstance(raw, (staticmethod, classmethod)) or (callable(raw) and not isinstance(raw, type))


def _caller(stage, name, raw):
    """A task may be written with or without @staticmethod, as a classmethod, or as a method with self."""

    def call():
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
    for number, text in enumerate(_source_lines(code.co_filename)[line - 1 :], line):
        if text.lstrip().startswith(("def ", "async def ", "lambda")):
            line = number
            break
    return {"file": _relative(code.co_filename, root), "line": line}


def _relative(path, root):
    inside = path.startswith(root.rstrip(os.sep) + os.sep)
    return os.path.relpath(path, root) if inside else path


def _source_lines(path):
    import linecache

    return linecache.getlines(path)


# What the author should know


def _warnings(module, pipedef, functions, root):
    with open(pipedef, "rb") as file:
        tree = ast.parse(file.read())
    where = _relative(pipedef, root)
    warnings = []
    for name, lines in _repeated(tree.body, ast.ClassDef):
        warnings.append(
            "%s:%d: class %s is defined more than once (lines %s); only the last one counts"
            % (where, lines[-1], name, _join(lines))
        )
    for node in tree.body:
        if not isinstance(node, ast.ClassDef):
            continue
        value = getattr(module, node.name, None)
        for name, lines in _repeated(node.body, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if name.startswith("task_"):
                warnings.append(
                    "%s:%d: %s.%s is defined more than once (lines %s); only the last one counts"
                    % (where, lines[-1], node.name, name, _join(lines))
                )
        has_tasks = isinstance(value, type) and bool(_find_tasks(value))
        if _is_stage(value) and not has_tasks and not _is_base(value):
            warnings.append("%s:%d: stage %s has no task_ function" % (where, node.lineno, node.name))
        if isinstance(value, type) and not _is_stage(value) and has_tasks and not _is_mixin(value, module):
            warnings.append(
                "%s:%d: class %s has task_ functions but does not extend Stage, so they are not run"
                % (where, node.lineno, node.name)
            )
    threads = _threads()
    if threads:
        warnings.append(
            "%s starts threads while it loads (%s). A task runs in a fork, where they do not exist, and a lock"
            " one of them holds at that moment can hang the task. Start threads inside tasks" % (where, threads)
        )
    return warnings


def _repeated(body, kinds):
    lines = {}
    for node in body:
        if isinstance(node, kinds):
            lines.setdefault(node.name, []).append(node.lineno)
    return [(name, numbers) for name, numbers in lines.items() if len(numbers) > 1]


def _join(lines):
    return ", ".join(str(line) for line in lines[:-1]) + " and " + str(lines[-1])


def _is_base(stage):
    return bool(stage.__subclasses__())


def _is_mixin(value, module):
    return any(_is_stage(other) and issubclass(other, value) for other in vars(module).values())


def _threads():
    import threading

    names = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    try:
        others = len(os.listdir("/proc/self/task")) - 1 - len(names)
    except OSError:
        others = 0
    if others > 0:
        names.append("%d of C code" % others)
    return ", ".join(names)


# Problems


def _no_stage(module, pipedef, root):
    problem = {
        "kind": "empty",
        "message": "no stage: a pipedef needs a class that extends Stage and has task_ functions",
        "location": {"file": _relative(pipedef, root), "line": 1},
        "hint": 'Try: class TestUnit(Stage):\n         def task_all():\n             run("IMAGE", "COMMAND")',
    }
    for name, value in vars(module).items():
        if _is_stage(value) and value.__module__ == module.__name__:
            problem["message"] = "no task: stage %s has no function whose name starts with task_" % name
        elif isinstance(value, type) and value.__module__ == module.__name__ and _find_tasks(value):
            problem["message"] = "no stage: class %s has task_ functions but does not extend Stage" % name
            problem["hint"] = "Try: class %s(Stage):" % name
    return problem


def _describe(error, pipedef, root):
    from ._frames import format_trimmed, last_author_frame

    if isinstance(error, SyntaxError):
        return _syntax_problem(error, pipedef, root)
    if isinstance(error, FileNotFoundError) and error.filename == pipedef and not os.path.exists(pipedef):
        return {"kind": "host", "message": "there is no pipedef %s" % pipedef}
    frame = last_author_frame(error, root)
    problem = {"kind": "threw", "message": _one_line(error), "stack": format_trimmed(error, root).rstrip()}
    if frame is None:
        problem["location"] = {"file": _relative(pipedef, root), "line": 1}
    else:
        source = (_source_lines(frame.filename)[frame.lineno - 1 : frame.lineno] or [""])[0].rstrip("\r\n")
        problem["location"] = {"file": _relative(frame.filename, root), "line": frame.lineno}
        problem["sourceLine"] = source
        column = len(source) - len(source.lstrip()) + 1
    if isinstance(error, ImportError):
        problem["kind"] = "import"
        del problem["stack"]
        column = max(column, source.find(error.name or "\0") + 1) if frame is not None else 1
        if isinstance(error, ModuleNotFoundError):
            problem["hint"] = "%s looks for modules beside the pipedef and in its own packages. Try: %s -m pip install %s" % (
                sys.executable,
                sys.executable,
                (error.name or "MODULE").split(".")[0],
            )
    elif isinstance(error, SystemExit):
        problem["message"] = "sys.exit(%s) was called while the pipedef loads" % ("" if error.code is None else repr(error.code))
        del problem["stack"]
    elif isinstance(error, MemoryError):
        problem["hint"] = "The pipedef's memory is limited. Try: --pipedef-memory with a larger size"
    if frame is not None:
        problem["location"]["column"] = column
    return problem


def _one_line(error):
    text = str(error)
    return "%s: %s" % (type(error).__name__, text) if text else type(error).__name__


def _syntax_problem(error, pipedef, root):
    problem = {
        "kind": "syntax",
        "message": "%s: %s" % (type(error).__name__, error.msg),
        "location": {"file": _relative(error.filename or pipedef, root), "line": error.lineno or 1},
    }
    if error.offset and error.offset > 0:
        problem["location"]["column"] = error.offset
    lines = _source_lines(error.filename or pipedef)
    text = lines[(error.lineno or 1) - 1 : error.lineno or 1]
    line = text[0] if text else error.text
    if line:
        problem["sourceLine"] = line.rstrip("\r\n")
    return problem
