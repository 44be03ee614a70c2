"""run(): what a task calls. Who carries the command to a worker depends on who runs the task."""

from ._errors import CommandFailed, InfrastructureError
from ._options import parse_call

# What run() returns under check=False where a command has no exit code of its own: those of timeout(1)
# and of a process killed by the kernel. Never 0, which would read as "passed".
TIMED_OUT_CODE = 124
OUT_OF_MEMORY_CODE = 137


class Context:
    """`make(call)` has a worker run a Call and settles its outcome, `build(call)` gives that of one that passed.

    None outside tasks.
    """

    make = None
    build = None
    loading = False


context = Context()


def run(*where_and_what, **options):
    """run(worker, image, command, **options) or run(image, command, **options): one command in a fresh sandbox.

    Returns 0. A non-zero exit, a timeout and out of memory raise CommandFailed; with check=False they are
    returned as a code (124 for a timeout, 137 for out of memory). Trouble of the machinery raises
    InfrastructureError in any case.

    Options: env={"NAME": "value"}, secrets=["NPM_TOKEN"], workdir="/src", user="nobody", timeout=90 or "90s" or
    "5m", cpus=1.5, memory="512m", network=False, source=workspace(), results="junit.xml" (tests that fail there
    make the task red), artifacts=["dist/**"], services={"db": {"image": "postgres", "ready": "pg_isready"}},
    cache={"key": hash_files("uv.lock"), "paths": [".venv"], "restore_keys": ["venv-"]}, check=True.
    """
    call = parse_call(where_and_what, options)
    return need_context("run", "never runs a task").make(call)


def need_context(function, loading):
    if context.make is None:
        if context.loading:
            raise RuntimeError(
                "%s() was called while the pipedef loads, but loading %s."
                " Move the call into a task_ function of a Stage." % (function, loading)
            )
        raise RuntimeError(
            "%s() works inside a task only. Try: python3 -m bettertest .bettertest/pipedef.py" % function
        )
    return context


def settle(outcome, request, check):
    """What run() returns or raises for the outcome of a command."""
    command = request["command"]
    kind = outcome["kind"]
    if kind == "exited":
        code = outcome["exitCode"]
        failure = {"kind": "exit", "command": command, "exitCode": code}
        unbuilt = outcome.get("build") or {}
        if unbuilt.get("kind") == "failed":
            step = unbuilt["step"]
            failure["build"] = "%s(%s)" % ("at step %s " % step if step else "", unbuilt["message"])
        failed_tests = outcome.get("failedTests", 0)
        if failed_tests:
            failure["failedTests"] = failed_tests
            # Never 0, which would read as "passed".
            code = code or 1
    elif kind == "timed-out":
        code = TIMED_OUT_CODE
        failure = {"kind": "timeout", "command": command, "afterMs": outcome["afterMs"]}
    elif kind == "out-of-memory":
        code = OUT_OF_MEMORY_CODE
        failure = {"kind": "out-of-memory", "command": command, "limitBytes": outcome["limitBytes"]}
    elif kind == "cancelled":
        raise InfrastructureError("the command was cancelled: %s" % command)
    else:
        raise InfrastructureError(outcome["message"], outcome.get("hint"))
    if code != 0 and check:
        if "processLimit" in outcome:
            failure["processLimit"] = outcome["processLimit"]
        raise CommandFailed._of(failure)
    return code
