"""spira: one command for all that is done beside the pipeline; ``spira --help`` lists it.

``python -m spira`` is the same. Only the standard library is imported here: where a package is missing, this says so.
"""

import sys

from spira.base.errors import DataError
from spira.base.program import exit_on_error


def main() -> None:
    with exit_on_error():
        try:
            from spira.commands.spira import run

            sys.exit(run(sys.argv[1:]))
        except ModuleNotFoundError as error:
            if not error.name or error.name.partition(".")[0] == "spira":
                raise
            raise DataError(f"{sys.executable}: {error.name} is not installed; make venv, then spira doctor") from error


if __name__ == "__main__":
    main()
