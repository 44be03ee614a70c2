"""Two stages of tests. Under bettertest: npx bettertest run examples/python/pipedef.py

Without a boss, against a worker: python3 -m bettertest examples/python/pipedef.py TestUnit
"""

from bettertest import Stage, run

WORKER = "http://localhost:9009"
IMAGE = "bettertest-base"


class TestUnit(Stage):
    @staticmethod
    def task_models():
        run(WORKER, IMAGE, "echo testing the models; test 2 -eq 2")

    @staticmethod
    def task_utils():
        run(WORKER, IMAGE, 'echo testing the utils; test -n "$PATH"', timeout="1m")


# class TestSlow(Stage):
#     @staticmethod
#     def task_everything():
#         run(WORKER, IMAGE, "make test-everything")


class TestIntegration(Stage):
    @staticmethod
    def task_end_to_end():
        print("a task may print, and run several commands")
        run(WORKER, IMAGE, "echo first half")
        run(WORKER, IMAGE, "echo second half", env={"HALF": "2"})
