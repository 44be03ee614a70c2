"""Why a pipedef cannot be used, as the PipedefProblem of runtime/host/host.ts."""

import os
import sys

from ._frames import format_trimmed, last_author_frame
from ._paths import relative, source_lines
from ._stages import find_tasks, is_stage


def no_stage(module, pipedef, root):
    problem = {
        "kind": "empty",
        "message": "no stage: a pipedef needs a class that extends Stage and has task_ functions",
        "location": {"file": relative(pipedef, root), "line": 1},
        "hint": 'Try: class TestUnit(Stage):\n         def task_all():\n             run("IMAGE", "COMMAND")',
    }
    for name, value in vars(module).items():
        if is_stage(value) and value.__module__ == module.__name__:
            problem["message"] = "no task: stage %s has no function whose name starts with task_" % name
        elif isinstance(value, type) and value.__module__ == module.__name__ and find_tasks(value):
            problem["message"] = "no stage: class %s has task_ functions but does not extend Stage" % name
            problem["hint"] = "Try: class %s(Stage):" % name
    return problem


def describe_error(error, pipedef, root):
    if isinstance(error, SyntaxError):
        return _syntax_problem(error, pipedef, root)
    if isinstance(error, FileNotFoundError) and error.filename == pipedef and not os.path.exists(pipedef):
        return {"kind": "import", "message": "there is no pipedef %s" % pipedef}
    frame = last_author_frame(error, root)
    problem = {"kind": "threw", "message": _one_line(error), "stack": format_trimmed(error, root).rstrip()}
    if frame is None:
        problem["location"] = {"file": relative(pipedef, root), "line": 1}
    else:
        source = (source_lines(frame.filename)[frame.lineno - 1 : frame.lineno] or [""])[0].rstrip("\r\n")
        problem["location"] = {"file": relative(frame.filename, root), "line": frame.lineno}
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
        "location": {"file": relative(error.filename or pipedef, root), "line": error.lineno or 1},
    }
    if error.offset and error.offset > 0:
        problem["location"]["column"] = error.offset
    lines = source_lines(error.filename or pipedef)
    text = lines[(error.lineno or 1) - 1 : error.lineno or 1]
    line = text[0] if text else error.text
    if line:
        problem["sourceLine"] = line.rstrip("\r\n")
    return problem
