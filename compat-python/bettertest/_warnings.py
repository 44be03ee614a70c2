"""What is legal Python, and is hardly what the author means."""

import ast
import importlib.machinery
import os

from ._paths import relative
from ._stages import find_tasks, is_stage


def find_warnings(module, pipedef, root):
    # As it was imported, which may not be what is on disk: see _pinned.
    tree = ast.parse(importlib.machinery.SourceFileLoader(module.__name__, pipedef).get_data(pipedef))
    where = relative(pipedef, root)
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
        has_tasks = isinstance(value, type) and bool(find_tasks(value))
        if is_stage(value) and not has_tasks and not _is_base(value):
            warnings.append("%s:%d: stage %s has no task_ function" % (where, node.lineno, node.name))
        if isinstance(value, type) and not is_stage(value) and has_tasks and not _is_mixin(value, module):
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
    return any(is_stage(other) and issubclass(other, value) for other in vars(module).values())


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
