"""image(): an image of the code under test, and what run() takes in place of an image's name. As runtime/image.ts."""

import posixpath
import re

from ._errors import InfrastructureError
from ._options import Call, _bad_of, _is_text, _timeout_ms, _worker
from ._run import need_context
from ._source import Source, checked, default_source, none

_OPTIONS = ("context", "dockerfile", "target", "args", "source", "worker", "timeout")


class BuiltImage:
    """Stands for an image in run(), on whichever worker: one that does not have it builds it first.

    `name` is what the workers know it by; `cached` says whether it was there already.
    """

    __slots__ = ("name", "cached", "_recipe")

    def __init__(self, name, cached, recipe):
        self.name = name
        self.cached = cached
        self._recipe = recipe

    def __str__(self):
        return self.name


def image(context=".", **options):
    """Builds an image of the code under test, unless a worker has it already: nothing that the build reads has changed.

    Options: dockerfile="docker/Dockerfile" (from the root of the source; that of the context unless it is said),
    target="test", args={"NAME": "value"} (which can be read in the image: no place for secrets), source=workspace(),
    worker="http://localhost:9009", timeout=90 or "90s" or "5m".

    Returns what run() takes in place of an image's name. Raises CommandFailed where the Dockerfile is to blame.
    """
    call, recipe = _parse(dict(options, context=context))
    outcome = need_context("image", "builds nothing").build(call)
    made = outcome.get("build") or {}
    if made.get("kind") != "made":
        raise InfrastructureError("the worker did not say what it has built", "Is it older than its boss?")
    return BuiltImage(made["image"], made["cached"], recipe)


def _parse(options):
    for name in options:
        if name not in _OPTIONS:
            why = ": what a build is given can be read in the image. Give secrets to run()" if "secret" in name else ""
            raise TypeError("image: there is no option %s%s. There are: %s" % (name, why, ", ".join(_OPTIONS)))
    context = _path("context", options["context"])
    recipe = {"context": context}
    dockerfile = options.get("dockerfile")
    own = posixpath.normpath(posixpath.join(context, "Dockerfile"))
    recipe["dockerfile"] = own if dockerfile is None else _path("dockerfile", dockerfile)
    words = ["docker", "build"]
    if recipe["dockerfile"] != own:
        words += ["-f", recipe["dockerfile"]]
    target = options.get("target")
    if target is not None:
        if not _is_text(target) or not re.fullmatch(r"\S+", target):
            raise _bad("target", target, "must be the name of a stage of the Dockerfile")
        recipe["target"] = target
        words += ["--target", target]
    args = options.get("args")
    if args is not None:
        recipe["args"] = _args(args)
        for name in recipe["args"]:
            words += ["--build-arg", name]
    recipe["source"] = _source(options.get("source"))
    request = {
        "image": "bettertest-image",
        "command": " ".join(words + [context]),
        "build": dict(recipe, only=True),
    }
    if options.get("timeout") is not None:
        request["timeoutMs"] = _timeout_ms("timeout", options["timeout"])
    return Call(_worker(options.get("worker")), request, True), recipe


def _source(given):
    source = default_source() if given is None else checked(given)
    if source is none:
        # What a build reads has to come from somewhere.
        if given is not None:
            raise ValueError("image: source must be workspace() or git(url=..., ref=...), not none")
        source = Source({"kind": "workspace"})
    return {key: value for key, value in source.asked.items() if key != "path"}


def _path(name, value):
    if not _is_text(value) or not value or value.startswith("/"):
        raise _bad(name, value, "must be a path from the root of the source")
    path = posixpath.normpath(value)
    if ".." in path.split("/"):
        raise _bad(name, value, "must stay in the source")
    return path


def _args(value):
    try:
        pairs = dict(value)
    except (TypeError, ValueError):
        raise _bad("args", value, "must be a dict of texts") from None
    for key, text in pairs.items():
        if not isinstance(key, str) or not re.fullmatch(r"\w+", key, re.ASCII):
            raise _bad("args", key, "has a name that no build argument can have")
        if not _is_text(text):
            raise _bad("args[%r]" % key, text, "must be a text")
    return pairs


def _bad(name, value, rule):
    return _bad_of("image", name, value, rule)
