"""The two ways a command can go wrong, which must never be mixed up."""


class CommandFailed(Exception):
    """The command ran and is to blame: the task is red.

    `kind` is "exit", "timeout" or "out-of-memory"; `exit_code` is what run(..., check=False) would return.
    """

    def __init__(self, failure, exit_code):
        super().__init__(describe_failure(failure))
        self.failure = failure
        self.kind = failure["kind"]
        self.command = failure["command"]
        self.exit_code = exit_code


class InfrastructureError(Exception):
    """The machinery failed (worker gone, image missing): says nothing about the command."""

    def __init__(self, message, hint=None):
        super().__init__(message if hint is None else message + "\n" + hint)
        self.message = message
        self.hint = hint


def describe_failure(failure):
    """The words of `describeFailure` in src/model/failure.ts."""
    kind = failure["kind"]
    if kind == "exit":
        return "exit code %d: %s" % (failure["exitCode"], failure["command"])
    if kind == "timeout":
        return "timed out after %g s: %s" % (failure["afterMs"] / 1000, failure["command"])
    if kind == "out-of-memory":
        limit = failure["limitBytes"]
        words = "" if limit is None else " (limit %g MiB)" % (limit / 2**20)
        return "out of memory%s: %s" % (words, failure["command"])
    return failure["message"]
