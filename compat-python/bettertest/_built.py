"""build(): files that a command leaves, and what run() takes as a source for them. As runtime/files-build.ts."""

from ._errors import InfrastructureError
from ._options import Call, option_reader, parse_call
from ._run import need_context
from ._source import Source

_OPTIONS = ("artifacts", "reads", "env", "secrets", "workdir", "user", "timeout", "cpus", "memory", "disk", "pids", "network", "source", "cache")
_TARGET = ("worker", "image", "command")
# Why a build cannot have them.
_REFUSED = {
    "results": "tests always run, and a build may not have to. Give results to run()",
    "services": "what they answer is nothing that its files could be known by. Give services to run()",
    "check": "without its files there is nothing to go on with",
}


class BuiltFiles(Source):
    """Stands for files that were built, as a source, in the same run. `cached` says whether they were there already."""

    __slots__ = ("cached",)

    def __init__(self, files, cached):
        super().__init__({"kind": "artifacts", "tasks": [{"files": files}]})
        self.cached = cached


def build(*where_and_what, **options):
    """build(worker, image, command, **options) or build(image, command, **options): a command, for the files it leaves.

    As run(), but it need not run where the worker has the files already: nothing that the command can see has changed
    since. Returns what stands for them as a source: run(IMAGE, "pytest", source=build(...)).

    artifacts=["dist/**"] says which files it is for. reads=["src/**", "package.json"]: of its source the command sees
    these files only, and an edit of others builds nothing anew. Other options are those of run() but for results,
    services and check. Raises CommandFailed where the command fails.
    """
    call = _parse(where_and_what, options)
    outcome = need_context("build", "builds nothing").build(call)
    built = outcome.get("build") or {}
    if built.get("kind") != "files":
        raise InfrastructureError("the worker did not say what it has built", "Is it older than its boss?")
    if "files" not in built:
        raise InfrastructureError(
            "the command has passed, and left nothing that is kept of %s: %s"
            % (", ".join(call.request["artifacts"]), call.request["command"]),
            "artifacts are named from the folder that the command starts in",
        )
    return BuiltFiles(built["files"], built["cached"])


def _parse(where_and_what, options):
    options = dict(options)
    for name in options:
        if name in _REFUSED:
            raise TypeError("build: there is no option %s: %s" % (name, _REFUSED[name]))
        if name not in _OPTIONS and name not in _TARGET:
            raise TypeError("build: there is no option %s. There are: %s" % (name, ", ".join(_OPTIONS)))
    if not options.get("artifacts"):
        raise TypeError('build: artifacts must say which files it is for, such as ["dist/**"]')
    reads = options.pop("reads", None)
    try:
        request = parse_call(where_and_what, options)
        asked = {} if reads is None else {"reads": option_reader("artifacts")[1]("reads", reads)}
    except (TypeError, ValueError) as error:
        # What is wrong with it is said of the function that its author has called.
        words = str(error)
        raise type(error)("build:" + words[4:] if words.startswith("run:") else words) from None
    command = request.request
    # Those of its stage are for tests.
    command.pop("services", None)
    if reads is not None and not asked["reads"]:
        raise TypeError("build: reads must hold 1 to 100 patterns")
    if reads is not None and "source" not in command:
        raise TypeError("build: reads names files of the source, and there is none: source=workspace()")
    return Call(request.worker, dict(command, filesBuild=asked), True)
