"""Processes that send themselves a signal between two steps of what they do."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
"""For a process of its own: the house's code and that of the tests."""
KILLED = """
import os, signal, sys
from importlib import import_module
place, name, turn, when, number = sys.argv[1:6]
place = getattr(import_module(place.split(":")[0]), place.split(":")[1]) if ":" in place else import_module(place)
real, calls = getattr(place, name), [0]
def step(*arguments, **options):
    calls[0] += 1
    if calls[0] == int(turn) and when == "before":
        os.kill(os.getpid(), int(number))
    returned = real(*arguments, **options)
    if calls[0] == int(turn) and when == "after":
        os.kill(os.getpid(), int(number))
    return returned
setattr(place, name, step)
del sys.argv[1:6]
"""


class Step(NamedTuple):
    """The turn of a function, and whether the signal comes before or after it."""

    place: str
    """Its module, or `module:class`."""
    name: str
    turn: int
    when: str

    def __str__(self) -> str:
        return f"{self.when}-{self.name}-{self.turn}"


def run_killed(script: str, *arguments: str, step: Step, number: signal.Signals = signal.SIGKILL) -> None:
    """Run a script in the working folder, which must be ended by the signal at the step."""
    command = [sys.executable, "-c", KILLED + script, *map(str, step), str(int(number)), *arguments]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": PATHS}, capture_output=True, text=True)
    ended = {-number, 130} if number == signal.SIGINT else {-number}  # Python turns Ctrl-C into an exception first
    assert done.returncode in ended, done.stdout + done.stderr
