"""A clean process that has imported everything, and forks a child for each invocation of the command.

So each invocation is a process of its own, from its first line to its end, and imports are paid once. Reads a JSON list
of arguments per line; answers with the child's pid at once and with its exit status when it has ended.
"""

import importlib
import json
import os
import sys
import traceback

from questwell.cli.app import app
from questwell.cli.verbs import VERBS

IMPORTED = ("questwell.training.trainer", "questwell.training.charts", "questwell.llm.pretrained")
"""What the verbs that train import when they need it."""


def invoke(arguments: list[str]) -> int:
    try:
        app(arguments)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    return 1


def say(number: int) -> None:
    sys.__stdout__.write(f"{number}\n")
    sys.__stdout__.flush()


def main() -> None:
    trains = sys.argv[1] == "trains"
    for name in (*(f"questwell.cli.{verb}" for verb in VERBS), *(IMPORTED if trains else ())):
        importlib.import_module(name)
    if trains:
        importlib.import_module("blank_charts").draw_nothing()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            sys.stdout = sys.stderr = open(sys.argv[2], "a")  # noqa: SIM115
            os._exit(invoke(json.loads(line)))
        say(child)
        say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main()
