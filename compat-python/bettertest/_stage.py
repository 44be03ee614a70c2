class Stage:
    """A group of tasks that run side by side. Every function named task_* in a subclass is a task.

    Stages run in the order of the file; a red one skips the later ones, but those with `always = True`.
    """

    always = False
