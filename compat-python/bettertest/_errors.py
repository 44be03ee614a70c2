"""The two ways a command can go wrong, which must never be mixed up."""


class CommandFailed(Exception):
    """The command ran and is to blame: the task is red.

    `reason` is "exit", "timeout" or "out-of-memory"; `exit_code` is None where it did not end by itself.
    """

    def __init__(self, message, command=None, reason="exit", exit_code=None):
        super().__init__(message)
        self.command = command
        self.reason = reason
        self.exit_code = exit_code
        # As in src/model/failure.ts; None for one that the pipedef made itself.
        self.failure = None

    @classmethod
    def _of(cls, failure):
        error = cls(describe_failure(failure), failure["command"], failure["kind"], failure.get("exitCode"))
        error.failure = failure
        return error


class InfrastructureError(Exception):
    """The machinery failed (worker gone, image missing): says nothing about the command."""

    def __init__(self, message, hint=None):
        super().__init__(message)
        self.hint = hint

    def __str__(self):
        message = super().__str__()
        return message if not self.hint else "%s\n%s" % (message, self.hint)

    @property
    def message(self):
        return super().__str__()


def describe_failure(failure):
    """The words of `describeFailure` in src/model/failure.ts."""
    kind = failure["kind"]
    if kind == "exit":
        return "%s%s: %s" % (_exit(failure), _crowd(failure), failure["command"])
    if kind == "timeout":
        return "timed out after %g s%s: %s" % (failure["afterMs"] / 1000, _crowd(failure), failure["command"])
    if kind == "out-of-memory":
        limit = failure["limitBytes"]
        words = "" if limit is None else " (limit %g MiB)" % (limit / 2**20)
        return "out of memory%s: %s" % (words, failure["command"])
    return failure["message"]


def _exit(failure):
    if "build" in failure:
        return "the image could not be built %s" % failure["build"]
    code = failure["exitCode"]
    failed = failure.get("failedTests", 0)
    if not failed:
        return "exit code %d" % code
    tests = "%d %s failed" % (failed, "test" if failed == 1 else "tests")
    return "%s, but the command exited with 0" % tests if code == 0 else "%s, exit code %d" % (tests, code)


def _crowd(failure):
    limit = failure.get("processLimit")
    return "" if limit is None else " (hit the limit of %d processes)" % limit
