"""python3 -m bettertest PIPEDEF [Stage[.task]]: runs a pipedef without a boss."""

import argparse
import os
import signal
import sys
import tempfile
import threading
import time

from . import _forks, _frames, _worker  # noqa: F401  (before the forks)
from ._access import Access, Unusable
from ._load import Problem, load
from ._worker import Workers

PASSED, FAILED, USAGE, ERRORED, INTERRUPTED = 0, 1, 2, 3, 130

DEFAULT_WORKER = "http://localhost:9009"
DEFAULT_SLOTS = 4
# Time for interrupted tasks to end their commands.
INTERRUPT_GRACE_S = 8
MEMORY_PER_TASK = 2**20


def main(arguments):
    options = _parse(arguments)
    try:
        access = Access(options.worker, options.worker_token_file, options.tls_ca)
    except Unusable as error:
        _tell(str(error))
        return USAGE
    # -m puts the current folder first; a pipedef sees the modules beside it, here as with a boss.
    sys.path[0] = os.path.dirname(os.path.abspath(options.pipedef))
    sys.argv[:] = [options.pipedef]
    sys.dont_write_bytecode = True
    try:
        loaded = load(options.pipedef)
    except Problem as trouble:
        _tell(_describe(trouble.problem))
        return USAGE
    for warning in loaded.pipeline["warnings"]:
        _tell("warning: " + warning)
    try:
        stages = _select(loaded.pipeline["stages"], options.only)
    except LookupError as error:
        _tell(str(error))
        return USAGE
    if any(task.get("retries") for stage in loaded.pipeline["stages"] for task in stage["tasks"]):
        _tell("warning: retries are of use with a boss only (bettertest run): a red task is not tried again")
    os.chdir(loaded.root)
    return _Run(loaded, stages, options, access).run()


def _parse(arguments):
    parser = argparse.ArgumentParser(
        prog="python3 -m bettertest",
        description="Runs a pipedef without a boss: its stages in order, the tasks of a stage side by side.",
        epilog="Exit codes: 0 passed, 1 a test failed, 2 usage or pipedef error, 3 infrastructure error, 130 interrupted.",
    )
    parser.add_argument("pipedef", help="for instance .bettertest/pipedef.py")
    parser.add_argument("only", nargs="*", metavar="Stage[.task]", help="what to run; default: all")
    parser.add_argument(
        "--worker", default=DEFAULT_WORKER, metavar="URL", help="for calls that name none (default: %(default)s)"
    )
    parser.add_argument(
        "--worker-token-file", metavar="FILE", help="tokens of workers: lines of URL TOKEN, or one token for --worker"
    )
    parser.add_argument("--tls-ca", metavar="FILE", help="certificates to trust besides the usual ones")
    parser.add_argument("--slots", type=int, metavar="N", help="tasks at a time (default: what the worker has)")
    parser.add_argument("--keep-going", action="store_true", help="run later stages also after a red one")
    options = parser.parse_args(arguments)
    if not options.worker.startswith(("http://", "https://")):
        parser.error('--worker must be a URL, such as "%s", not %r' % (DEFAULT_WORKER, options.worker))
    if options.slots is not None and options.slots < 1:
        parser.error("--slots must be at least 1")
    return options


def _select(stages, patterns):
    """Stages with the tasks that were asked for, in the order of the file."""
    chosen = []
    labels = [(s["name"], t["name"], "%s.%s" % (s["name"], t["name"])) for s in stages for t in s["tasks"]]
    for pattern in patterns:
        if not any(pattern in (stage, label) for stage, _, label in labels):
            names = [stage["name"] for stage in stages] + [label for _, _, label in labels]
            import difflib

            near = difflib.get_close_matches(pattern, names, 5, 0.4) or names[:5]
            raise LookupError("there is no stage or task %s. There are: %s" % (pattern, ", ".join(near)))
    for stage in stages:
        tasks = [
            task
            for name, task, label in labels
            if name == stage["name"] and (not patterns or name in patterns or label in patterns)
        ]
        if tasks:
            chosen.append((stage["name"], stage["always"], tasks))
    return chosen


def _describe(problem):
    """The words of runtime/host/problem.ts."""
    place = problem.get("location")
    where = ":".join(str(place[key]) for key in ("file", "line", "column") if key in place) + ": " if place else ""
    lines = [where + problem["message"]]
    if place and "sourceLine" in problem:
        number = str(place["line"])
        lines.append("  %s | %s" % (number, problem["sourceLine"]))
        if "column" in place:
            before = "".join("\t" if c == "\t" else " " for c in problem["sourceLine"][: place["column"] - 1])
            lines.append("  %s | %s^" % (" " * len(number), before))
    lines += [problem[key] for key in ("stack", "hint") if key in problem]
    return "\n".join(lines)


class _Printer:
    """Standard output. When it breaks that is told once, and nothing more is printed: tasks are to be ended in order."""

    def __init__(self, on_broken):
        self._on_broken = on_broken

    def line(self, text):
        self.bytes((text + "\n").encode(sys.stdout.encoding, "backslashreplace"))

    def bytes(self, data):
        try:
            sys.stdout.flush()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            # What is still in the buffer must not fail once more at the end of the process.
            _close_output(1)
            self._on_broken(error)


def _close_output(number):
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)


def _tell(text):
    try:
        sys.stdout.flush()
    except OSError:
        pass  # whoever prints next meets it too
    try:
        print("bettertest: " + text, file=sys.stderr, flush=True)
    except OSError:
        _close_output(2)


class _Run:
    """Also the listener of its Forks: gathers each task's output and prints it as one piece when the task ends,
    or as it comes where there is one task only."""

    def __init__(self, loaded, stages, options, access):
        self._access = access
        self._loaded = loaded
        self._stages = stages
        self._options = options
        self._live = sum(len(tasks) for _, _, tasks in stages) == 1
        self._outputs = {}
        self._started_at = {}
        self._ends = {}
        self._interrupted = 0
        self._broken = None
        self._printer = _Printer(self._output_broken)
        self._forks = _forks.Forks(self, loaded.root, 2**20)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupt)

    def run(self):
        slots = self._options.slots or _worker.slots(self._options.worker, self._access) or DEFAULT_SLOTS
        red = False
        skipped = 0
        try:
            for name, always, tasks in self._stages:
                if self._interrupted or (red and not always and not self._options.keep_going):
                    skipped += len(tasks)
                    continue
                self._run_stage(name, tasks, slots)
                red = red or any(end["status"] != "passed" for end in self._ends.values())
        finally:
            self._forks.stop()
        return self._sum_up(skipped)

    def _run_stage(self, stage, tasks, slots):
        waiting = list(reversed(tasks))
        while True:
            while waiting and self._forks.count() < slots and not self._interrupted:
                self._start((stage, waiting.pop()))
            if self._forks.count() == 0:
                return
            self._forks.step()
            if self._interrupted:
                self._end_interrupted()
                return

    def _start(self, key):
        workers = Workers(self._options.worker, self._access)
        function = self._loaded.functions[key]

        def task():
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            _on_interrupt(end_commands)
            return function()

        def end_commands():
            workers.cancel()
            os._exit(INTERRUPTED)

        self._outputs[key] = tempfile.SpooledTemporaryFile(MEMORY_PER_TASK)
        self._started_at[key] = time.monotonic()
        try:
            self._forks.start(key, task, carry=workers.carry)
        except OSError as error:
            self.ended(key, {"status": "errored", "fault": {"message": "no process for the task: %s" % error}})

    # Interruption

    def _interrupt(self, *_):
        self._interrupted += 1

    def _output_broken(self, error):
        """Nobody reads on, or there is no room for it: nothing more is of use."""
        self._interrupted = self._interrupted or 1
        if not isinstance(error, BrokenPipeError):
            self._broken = error
            _tell("the output cannot be written: %s" % error)

    def _end_interrupted(self):
        """The first Ctrl-C lets the tasks end their commands; a second one ends all at once."""
        _tell("interrupted, ending %d task(s)" % self._forks.count())
        for key in list(self._started_at):
            self._forks.signal(key, signal.SIGINT)
        give_up_at = time.monotonic() + INTERRUPT_GRACE_S
        while self._forks.count() and self._interrupted < 2 and time.monotonic() < give_up_at:
            self._forks.step(give_up_at - time.monotonic())
        for key in list(self._started_at):
            self._forks.signal(key, signal.SIGKILL)
        while self._forks.count():
            self._forks.step()

    # What Forks tells

    def output(self, key, data):
        if self._live:
            self._printer.bytes(data)
        else:
            self._outputs[key].write(data)
        self._forks.acknowledge(key, len(data))

    def call(self, key, number, message):
        pass  # a task without a boss carries its calls itself

    def abandoned(self, key, number):
        pass

    def exited(self, key):
        pass

    def ended(self, key, end):
        if self._interrupted:
            end = {"status": "cancelled"}
        self._ends[key] = end
        took = time.monotonic() - self._started_at.pop(key)
        with self._outputs.pop(key) as output:
            if not self._live:
                self._print_output("%s.%s" % key, output)
        words = "%s  %s.%s  (%.1f s)" % (end["status"], *key, took)
        if end["status"] == "failed":
            from ._errors import describe_failure

            words += "  " + describe_failure(end["failure"])
        elif end["status"] == "errored":
            words += "  " + end["fault"]["message"]
        self._printer.line(words)

    def _print_output(self, label, output):
        output.seek(0)
        first = output.read(65536)
        if not first:
            return
        self._printer.line("--- %s" % label)
        last = first
        while first:
            self._printer.bytes(first)
            last = first
            first = output.read(65536)
        if not last.endswith(b"\n"):
            self._printer.line("")

    def _sum_up(self, skipped):
        counts = {}
        for end in self._ends.values():
            counts[end["status"]] = counts.get(end["status"], 0) + 1
        if skipped:
            counts["skipped"] = skipped
        order = ("passed", "failed", "errored", "cancelled", "skipped")
        self._printer.line(", ".join("%d %s" % (counts[status], status) for status in order if status in counts))
        if self._broken:
            return ERRORED
        if self._interrupted:
            return INTERRUPTED
        if "failed" in counts:
            return FAILED
        return ERRORED if "errored" in counts else PASSED


def _on_interrupt(act):
    """Python's own handlers run in the main thread only, which may wait in a join that no signal interrupts
    (Python 3.13). So a thread listens to what the C side of the handlers writes."""
    signal.signal(signal.SIGINT, lambda *_: act())
    read, write = os.pipe()
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def listen():
        while signal.SIGINT not in os.read(read, 100):
            pass
        act()

    threading.Thread(target=listen, daemon=True).start()
