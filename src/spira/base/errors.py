"""The errors that a person is meant to read.

They say where, what was expected and what was found. So does a disk that is full, broken or closed to us, which is
nobody's mistake in this repository; everything else that escapes a stage is a defect of it and keeps its traceback.
"""


class ParamError(ValueError):
    """``params.yaml`` asks for something that no stage can do."""


class ParamKeyError(ParamError):
    """A parameter that no stage can use, by its key."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)
        self.key = key  # dotted, as in ``windows.seconds``
        self.message = message

    def __str__(self) -> str:
        return f"{self.key}: {self.message}"


class DataError(ValueError):
    """A file that a stage was given is missing, broken or contradictory, or one that it makes cannot be written."""


class MachineError(RuntimeError):
    """The machine failed at something, which is no fact about what it worked on; it may be worth one more try."""


def visible(text: str, *, lines: bool = False) -> str:
    """What a terminal shows as it is: control codes, turned writing and what has no shape as their escapes.

    Args:
        lines: whether line ends stay as they are.
    """
    shown = (char if char.isprintable() or (lines and char == "\n") else ascii(char)[1:-1] for char in text)
    return "".join(shown)
