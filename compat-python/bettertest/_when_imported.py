"""Changes a module of the standard library when somebody imports it: to import it for everybody would cost each
interpreter more than all of ours."""

import importlib.machinery
import sys


def when_imported(name, change):
    if name in sys.modules:
        change(sys.modules[name])
    else:
        sys.meta_path.insert(0, _WhenImported(name, change))


class _WhenImported:
    def __init__(self, name, change):
        self._name = name
        self._change = change

    def find_spec(self, name, path=None, target=None):
        if name != self._name:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                self._change(module)

            spec.loader.exec_module = exec_module
        return spec
