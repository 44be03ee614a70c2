"""A future keeps an error to itself until somebody asks for it; a failed command must not stay there."""

from ._errors import CommandFailed, InfrastructureError
from ._when_imported import when_imported


def watch_futures(unseen):
    """Keeps in `unseen` what went wrong with commands and nobody has asked for.

    From before anybody can wait for a future: who waits already would ask without being seen.
    """
    when_imported("concurrent.futures._base", lambda module: _watch_futures(module, unseen))
    when_imported("multiprocessing.pool", lambda module: _watch_results(module, unseen))


def _watch_futures(module, unseen):
    future_class = module.Future
    set_exception, result, exception = future_class.set_exception, future_class.result, future_class.exception

    def watched_set_exception(future, error):
        _keep(unseen, error)
        return set_exception(future, error)

    def seen(future):
        _drop(unseen, future._exception)

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


def _watch_results(module, unseen):
    """What multiprocessing's pools have for futures."""

    def watch_set(result_class):
        set_outcome = result_class._set

        def watched_set(result, index, outcome):
            succeeded, error = outcome
            # A map keeps its first error only, and who gave a callback is told.
            if not succeeded and getattr(result, "_success", True) and not getattr(result, "_error_callback", None):
                _keep(unseen, error)
            set_outcome(result, index, outcome)

        result_class._set = watched_set

    def watch_get(result_class, name):
        get = getattr(result_class, name)

        def watched_get(result, timeout=None):
            try:
                return get(result, timeout)
            except (CommandFailed, InfrastructureError) as error:
                _drop(unseen, error)
                raise

        setattr(result_class, name, watched_get)

    successful = module.ApplyResult.successful

    def watched_successful(result):
        succeeded = successful(result)
        _drop(unseen, result._value)
        return succeeded

    for result_class in (module.ApplyResult, module.MapResult, module.IMapIterator, module.IMapUnorderedIterator):
        watch_set(result_class)
    watch_get(module.ApplyResult, "get")
    watch_get(module.IMapIterator, "next")
    module.IMapIterator.__next__ = module.IMapIterator.next
    module.ApplyResult.successful = watched_successful


def _keep(unseen, error):
    if isinstance(error, (CommandFailed, InfrastructureError)):
        unseen.append(error)


def _drop(unseen, error):
    unseen[:] = [other for other in unseen if other is not error]
