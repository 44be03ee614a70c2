"""A future keeps an error to itself until somebody asks for it; a failed command must not stay there."""

import importlib.machinery
import sys

from ._errors import CommandFailed, InfrastructureError

MODULE = "concurrent.futures._base"


def watch_futures(unseen):
    """Keeps in `unseen` what went wrong with commands and nobody has asked for.

    From before anybody can wait for a future: who waits already would ask without being seen.
    """
    if MODULE in sys.modules:
        _watch(sys.modules[MODULE], unseen)
    else:
        # To import it for everybody would cost each interpreter more than all of ours.
        sys.meta_path.insert(0, _WhenImported(unseen))


class _WhenImported:
    def __init__(self, unseen):
        self._unseen = unseen

    def find_spec(self, name, path=None, target=None):
        if name != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                execute(module)
                _watch(module, self._unseen)

            spec.loader.exec_module = exec_module
        return spec


def _watch(module, unseen):
    future_class = module.Future
    set_exception, result, exception = future_class.set_exception, future_class.result, future_class.exception

    def watched_set_exception(future, error):
        if isinstance(error, (CommandFailed, InfrastructureError)):
            unseen.append(error)
        return set_exception(future, error)

    def seen(future):
        error = future._exception
        unseen[:] = [other for other in unseen if other is not error]

    def watched_result(future, timeout=None):
        try:
            return result(future, timeout)
        finally:
            seen(future)

    def watched_exception(future, timeout=None):
        try:
            return exception(future, timeout)
        finally:
            seen(future)

    future_class.set_exception = watched_set_exception
    future_class.result = watched_result
    future_class.exception = watched_exception
