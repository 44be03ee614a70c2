"""What a worker beyond this machine wants to see: its token, and how its certificate is known. The same file, and
the same rules, as --worker-token-file of the other commands (src/access/worker-tokens.ts)."""

import os
import stat
import urllib.parse

_LOCAL = ("localhost", "127.0.0.1", "::1")
_LISTENING = "0A"


class Unusable(Exception):
    pass


class Access:
    """own_url: the worker given by --worker; it alone gets a token that stands without an address."""

    def __init__(self, own_url, token_file=None, ca_file=None):
        self._own = _origin(own_url)
        self._by_origin, self._alone = _read_lines(token_file) if token_file else ({}, None)
        self.context = _context(ca_file) if ca_file else None

    def headers(self, url):
        token = self._token(_origin(url))
        return {"authorization": "Bearer " + token} if token else {}

    def _token(self, origin):
        found = self._by_origin.get(origin) or (self._alone if origin == self._own else None)
        if found or origin is None or origin[1] not in _LOCAL or not _is_own_server(origin[2]):
            return found
        folder = os.path.expanduser("~/.local/share/bettertest/worker-%d/access" % origin[2])
        try:
            return read_private(os.path.join(folder, "worker-token")).strip()
        except Unusable:
            return None


def _is_own_server(port):
    """While this user's worker is down anybody on this machine may take its port, and wait for the token. Where the
    system does not say whose the port is, it is believed to be this user's (src/cli/data-folder.ts)."""
    tables = []
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(path) as file:
                tables.append(file.read())
        except OSError:
            pass
    if not tables:
        return True
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    owners = [int(row[7]) for row in rows if row[1].endswith(":%04X" % port) and row[3] == _LISTENING]
    return bool(owners) and all(owner == os.getuid() for owner in owners)


def read_private(path):
    try:
        with open(path) as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise Unusable(
                    "%s can be read or written by others (mode %04o), so it is no secret. Try: chmod 600 %s"
                    % (path, mode, path)
                )
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable("%s cannot be read (%s)" % (path, error)) from None


def _read_lines(path):
    by_origin = {}
    alone = None
    for number, line in enumerate(read_private(path).split("\n"), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) == 1 and "://" not in words[0] and alone is None:
            alone = words[0]
        elif len(words) == 2 and _origin(words[0]):
            by_origin[_origin(words[0])] = words[1]
        else:
            # Not the line itself: it may hold a token.
            raise Unusable(
                '%s:%d is neither "URL TOKEN" nor the one line with a token for all workers' % (path, number)
            )
    return by_origin, alone


def _origin(url):
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        return None
    return (parts.scheme, parts.hostname, port) if parts.hostname else None


def _context(ca_file):
    import ssl

    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise Unusable("%s holds no certificates (%s)" % (ca_file, error)) from None
    return context
