class Stage:
    """A group of tasks that run side by side. Every function named task_* or build_* in a subclass is a task.

    Stages run in the order of the file; a red one skips the later ones, but those with `always = True`.
    `retries = 2` tries its red tasks again, up to twice; `retries = {"task_e2e": 2}` just that one.
    `services = {"db": {"image": "postgres", "ready": "pg_isready"}}` is what each command of its tasks has beside it,
    unless run() says otherwise.
    """

    always = False
    retries = 0
    services = None
