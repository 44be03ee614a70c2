"""The inside of a task's own process: calls the author's function and finds out how it ended."""

import os
import sys
import types

from ._errors import CommandFailed, InfrastructureError
from ._futures import watch_futures
from ._processes import watch_processes
from ._run import context, settle


# How long a daemon thread whose command failed may take to deal with that, once the task's function is over.
LAST_WORDS_S = 1


class Calls:
    """The calls of this process that are under way, and the failures that nobody has looked at."""

    def __init__(self, carry):
        import threading

        self._carry = carry
        self._changed = threading.Condition()
        self._running = 0
        self._failed_daemons = []
        self._task_is_over = False
        self.died = []
        self.unseen = []
        watch_futures(self.unseen)
        # A fork of the task has none of its threads, and none may hold its lock; what failed here is not its doing.
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self):
        import threading

        self._changed = threading.Condition()
        self._running = 0
        self._failed_daemons = []
        self._task_is_over = False
        self.died.clear()
        self.unseen.clear()

    def make(self, call):
        return self._make(call, lambda outcome: settle(outcome, call.request, call.check))

    def build(self, call):
        def settled(outcome):
            settle(outcome, call.request, True)
            return outcome

        return self._make(call, settled)

    def _make(self, call, settled):
        import threading

        thread = threading.current_thread()
        with self._changed:
            self._running += 1
        try:
            return settled(self._carry(call.worker, call.request, call.check))
        except (CommandFailed, InfrastructureError) as error:
            if thread.daemon:
                self._failed_daemons.append((thread, error, self._task_is_over))
            raise
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    def finish(self):
        """Waits for threads and for calls that are still under way."""
        import threading

        self._task_is_over = True
        # As at the end of any Python program: pools are told to finish, threads that are no daemons are waited for.
        threading._shutdown()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running == 0)
            if not self._failed_daemons:
                return
            thread, error, late = self._failed_daemons.pop()
            thread.join(LAST_WORDS_S)
            # It goes on, so it has caught the error; but what came this late can be of no use to the task any more.
            if thread.is_alive() and late and error not in self.died and error not in self.unseen:
                self.unseen.append(error)


def run_task(function, root, carry, tell, let_go):
    """Runs the task to its end, its threads and calls included. Returns a TaskEnd of src/model/failure.ts.

    In a process that the task made, `tell(end)` is how it hears of a command that failed there, and `let_go()`
    says that nobody is to wait for that process.
    """
    import threading

    calls = Calls(carry)
    context.make = calls.make
    context.build = calls.build
    pid = os.getpid()

    def thread_died(args):
        if args.exc_type is not SystemExit:
            say(root, args.exc_value)
            if isinstance(args.exc_value, (CommandFailed, InfrastructureError)):
                calls.died.append(args.exc_value)
                tell_from_child(args.exc_value)

    def tell_from_child(error):
        # Only the first process speaks for the task. Other errors harm it as little as they do in a thread.
        if os.getpid() != pid and isinstance(error, (CommandFailed, InfrastructureError)):
            tell(_end_of(error))

    def end_process(error):
        """What went wrong in this process, of which `error` ended its main thread."""
        if error is not None:
            say(root, error)
        calls.finish()
        for late in calls.unseen:
            say(root, late)
        for each in [error, *calls.unseen]:
            tell_from_child(each)
        return [*([] if error is None else [error]), *calls.died, *calls.unseen]

    threading.excepthook = thread_died
    watch_processes(end_process, let_go)
    error = _error_of(lambda: _finish(function(), calls.unseen))
    errors = end_process(error)
    if os.getpid() != pid:
        # The author's own fork came back out of the task.
        os._exit(1 if errors else 0)
    return worst([_end_of(each) for each in errors])


def ends_of_late(root, late):
    """How commands ended that daemonic processes were still waiting for when the task returned."""
    errors = [_error_of(lambda: settle(each["outcome"], each["request"], True)) for each in late]
    errors = [error for error in errors if error is not None]
    for error in errors:
        say(root, error)
    return [_end_of(error) for error in errors]


def _error_of(function):
    try:
        function()
    except BaseException as error:
        return error
    return None


def _finish(result, unseen):
    """An async task's result is still to be awaited; a generator's body has not run at all."""
    if hasattr(result, "__await__"):
        import asyncio
        import gc

        async def main():
            loop = asyncio.get_running_loop()

            def forgotten(loop, details):
                if isinstance(details.get("exception"), (CommandFailed, InfrastructureError)):
                    unseen.append(details["exception"])
                else:
                    loop.default_exception_handler(details)

            loop.set_exception_handler(forgotten)
            return await result

        asyncio.run(main())
        # asyncio speaks of a forgotten error when it is collected.
        gc.collect()
    elif isinstance(result, (types.GeneratorType, types.AsyncGeneratorType)):
        raise TypeError("the task is a generator (it has a yield), so nothing of it ran")


def _end_of(error):
    if isinstance(error, CommandFailed) and error.failure:
        return {"status": "failed", "failure": error.failure}
    if isinstance(error, InfrastructureError):
        fault = {"message": error.message}
        if error.hint:
            fault["hint"] = error.hint
        return {"status": "errored", "fault": fault}
    if isinstance(error, SystemExit):
        if error.code is None or error.code == 0:
            return {"status": "passed"}
        code = error.code if isinstance(error.code, int) else repr(error.code)
        return thrown("the task called sys.exit(%s)" % code)
    text = _limited(str(error))
    return thrown("%s: %s" % (type(error).__name__, text) if text else type(error).__name__)


def thrown(message):
    return {"status": "failed", "failure": {"kind": "thrown", "message": message}}


def _limited(text, most=4000):
    # A lone surrogate has no UTF-8.
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= most else text[:most] + " ..."


def worst(ends):
    """With trouble of the machinery about, nothing can be said of the code under test."""
    for status in ("errored", "failed"):
        for end in ends:
            if end["status"] == status:
                return end
    return {"status": "passed"}


def say(root, error):
    """Prints what went wrong into the task's output: a failed command in one line, anything else with its frames."""
    try:
        if isinstance(error, SystemExit):
            if error.code is None or isinstance(error.code, int):
                return
            text = "%s\n" % (error.code,)
        elif isinstance(error, (CommandFailed, InfrastructureError)) and error.__cause__ is None:
            text = "bettertest: %s\n" % error
        else:
            from ._frames import format_trimmed

            text = format_trimmed(error, root)
        flush()
        write_all(2, text.encode("utf-8", "replace"))
    except BaseException as trouble:  # an error whose own __str__ fails must not cost the verdict
        write_all(2, ("bettertest: %s (%s while it was printed)\n" % (type(error).__name__, trouble)).encode("utf-8", "replace"))


def flush():
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:
            pass  # closed or replaced by the author


def write_all(fd, data):
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        pass  # the author closed it
