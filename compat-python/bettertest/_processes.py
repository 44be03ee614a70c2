"""A process made by multiprocessing ends without coming back out of the task; a failed command must not stay there."""

import sys

from ._errors import CommandFailed, InfrastructureError
from ._when_imported import when_imported


def watch_processes(end_process, let_go):
    """Has each forked process end by `end_process`, and those that end with the task anyway `let_go` of it."""

    def watch(module):
        process_class = module.BaseProcess
        bootstrap = process_class._bootstrap

        def watched_bootstrap(process, *args, **options):
            if process.daemon or _serves_a_manager(process):
                let_go()
            run = process.run

            def run_and_tell():
                failed = None
                try:
                    run()
                except (CommandFailed, InfrastructureError) as error:
                    failed = error
                finally:
                    red = end_process(failed)
                if red:
                    sys.exit(1)

            process.run = run_and_tell
            return bootstrap(process, *args, **options)

        process_class._bootstrap = watched_bootstrap

    when_imported("multiprocessing.process", watch)


def _serves_a_manager(process):
    """No daemon by name, since it may have children; Python ends it with the program all the same."""
    return getattr(getattr(process, "_target", None), "__name__", None) == "_run_server"
