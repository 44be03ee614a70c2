"""The code under test, as a pipedef names it. The words are those of runtime/api.ts."""

import re

from ._services import set_default


class Source:
    """Made by workspace(), git(url=..., ref=...), or none."""

    __slots__ = ("asked",)

    def __init__(self, asked):
        self.asked = asked


none = Source(None)

_defaults = {"source": none}


def workspace(path=None):
    """The repo of the pipedef as it is at the start of the run, changed and new files too.

    What git ignores is left out, and what .bettertestignore names. The command starts in it, may write to it, and has
    it to itself. It is at /workspace unless `path` says otherwise.
    """
    return Source(_placed({"kind": "workspace"}, path))


def git(url, ref, secret=None, path=None):
    """A commit of a repo, which the worker fetches by itself. `secret` names a secret: a token, or user:password."""
    for name, value in (("url", url), ("ref", ref)):
        if not isinstance(value, str) or not value or value.startswith("-") or "\0" in value:
            raise TypeError("git: %s must be a text, not %s" % (name, repr(value)[:200]))
    asked = {"kind": "git", "url": url, "ref": ref}
    if secret is not None:
        if not isinstance(secret, str) or not re.fullmatch(r"[A-Za-z_]\w*", secret, re.ASCII):
            raise TypeError("git: secret must be the name of a secret, not %s" % repr(secret)[:200])
        asked["secret"] = secret
    return Source(_placed(asked, path))


def artifacts(*tasks, over=None, path=None):
    """What tasks of earlier stages have left, by their names: artifacts("Build.compile"); or what build() gave.

    The files lie where they lay in the folder that those commands started in. `over=workspace()` lays them over
    the working tree; otherwise there is nothing else.
    """
    if not 0 < len(tasks) <= 100:
        raise TypeError('artifacts: name tasks, such as "Build.compile"')
    left = []
    for task in tasks:
        if isinstance(task, Source) and task.asked is not None and task.asked["kind"] == "artifacts":
            left += task.asked["tasks"]
            continue
        left.append(task)
        if not isinstance(task, str) or not re.fullmatch(r".+\..+", task):
            raise TypeError('artifacts: name tasks, such as "Build.compile", not %s' % repr(task)[:200])
    asked = {"kind": "artifacts", "tasks": left}
    if over is not None and checked(over).asked is not None:
        if over.asked["kind"] != "workspace":
            raise TypeError("artifacts: over must be workspace()")
        asked["over"] = "workspace"
    return Source(_placed(asked, path))


def defaults(source=none, services=None):
    """For every command of this pipedef, unless its stage's or its own options say otherwise."""
    _defaults["source"] = checked(source)
    set_default(services)


def checked(value):
    if not isinstance(value, Source):
        raise TypeError("source must be workspace(), git(url=..., ref=...), artifacts(task), what build() gave, or none, not %s" % repr(value)[:200])
    return value


def default_source():
    return _defaults["source"]


def _placed(asked, path):
    if path is not None:
        if not isinstance(path, str) or not re.fullmatch(r"/[^\0:]+", path):
            raise TypeError("source: path must be an absolute path inside the sandbox, not %s" % repr(path)[:200])
        asked["path"] = path
    return asked
