"""The environment of a process whose libraries compute as they would by themselves."""

import os

from spira.base.arithmetic import variables


def unsettled() -> dict[str, str]:
    """This process's, without the variables that ``arithmetic: portable`` sets."""
    return {name: value for name, value in os.environ.items() if name not in variables("portable")}
