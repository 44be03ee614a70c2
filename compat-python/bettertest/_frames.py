"""Tracebacks as their author wants them: from their own first frame on, without this package's."""

import os
import traceback

_OWN_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _is_ours(filename):
    return filename.startswith(_OWN_FOLDER) or filename.startswith("<frozen ")


def format_trimmed(error, author_folder):
    """The text Python would print for `error`, trimmed; also for the errors that led to it."""
    report = traceback.TracebackException.from_exception(error)
    seen = set()
    pending = [report]
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        part.stack[:] = [_from_root(frame, author_folder) for frame in _trim(part.stack, author_folder)]
        pending += [part.__cause__, part.__context__]
        pending += getattr(part, "exceptions", None) or []
    text = "".join(report.format())
    # An error without a frame of the author (a SyntaxError, say) has nothing between the two lines.
    header = "Traceback (most recent call last):\n"
    return text.replace(header, "", 1) if not report.stack and text.startswith(header) else text


def _trim(stack, author_folder):
    frames = [frame for frame in stack if not _is_ours(frame.filename)]
    for index, frame in enumerate(frames):
        if is_author_file(frame.filename, author_folder):
            return frames[index:]
    return frames


def _from_root(frame, author_folder):
    """The same frame, with the path that the author would type."""
    if is_author_file(frame.filename, author_folder):
        frame.line  # read now: it is found by the full path
        frame.filename = os.path.relpath(frame.filename, author_folder)
    return frame


def is_author_file(filename, author_folder):
    return (
        filename.startswith(author_folder.rstrip(os.sep) + os.sep)
        and not _is_ours(filename)
        and "site-packages" not in filename
    )


def last_author_frame(error, author_folder):
    """The deepest frame of `error` in the author's own files, or None."""
    found = None
    for frame in traceback.extract_tb(error.__traceback__):
        if is_author_file(frame.filename, author_folder):
            found = frame
    return found
