"""Loads a pipedef: its stages and tasks in order, or the one problem that keeps it from loading."""

import importlib.machinery
import importlib.util
import os
import sys

from ._paths import relative, repo_root
from ._problems import describe_error, no_stage
from ._run import context
from ._stages import find_stages
from ._warnings import find_warnings


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


def load(pipedef):
    pipedef = os.path.abspath(pipedef)
    root = repo_root(pipedef)
    opened = _SourceRecord()
    context.loading = True
    try:
        module = _import_pipedef(pipedef)
    except BaseException as error:  # SystemExit and KeyboardInterrupt too: nothing at import is a red test
        raise Problem(describe_error(error, pipedef, root), _author_files(pipedef, root, opened.paths)) from None
    finally:
        context.loading = False
        opened.stop()
    files = _author_files(pipedef, root, opened.paths)
    try:
        stages, functions = find_stages(module, root)
    except ValueError as error:
        place = {"file": relative(pipedef, root), "line": 1}
        raise Problem({"kind": "threw", "message": str(error), "location": place}, files) from None
    if not stages:
        raise Problem(no_stage(module, pipedef, root), files)
    pipeline = {"stages": stages, "warnings": find_warnings(module, pipedef, root)}
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


class _SourceRecord:
    """Notes every source file that is read, also those that fail to compile and never become a module."""

    def __init__(self):
        self.paths = []
        loader = importlib.machinery.SourceFileLoader
        original = loader.get_data
        self._own = vars(loader).get("get_data")

        def get_data(this, path):
            self.paths.append(os.path.abspath(path))
            return original(this, path)

        loader.get_data = get_data

    def stop(self):
        if self._own is None:
            del importlib.machinery.SourceFileLoader.get_data
        else:
            importlib.machinery.SourceFileLoader.get_data = self._own


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
