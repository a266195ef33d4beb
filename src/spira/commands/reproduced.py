"""reproduced: dvc.lock as committed and as it is now -> whether the committed bytes came out, in one line.

Which processor made the committed bytes is in data/processor.txt, on which no stage depends; it is written anew where
the results are.
"""

from pathlib import Path

import click

from spira.base.arithmetic import processor
from spira.base.errors import DataError, visible

LOCK, MADE_ON = Path("dvc.lock"), Path("data/processor.txt")


@click.command
def command() -> None:
    """Say whether the committed bytes came out of the last run.

    dvc.lock as the last commit has it is held against the present one, on the same inputs. `make repro` ends with
    it.

    \b
    Example, after `dvc repro`:
      spira reproduced

    Exit codes: 0 done, whatever came out; 1 there is no dvc.lock.
    """
    from spira.compare.committed import Lock, read_committed
    from spira.compare.reproduction import reproduced
    from spira.compare.revision import content, read_tree, resolve

    root = Path.cwd()
    if not (root / LOCK).is_file():
        raise DataError(f"{root / LOCK}: no such file; run from the repository's root, after dvc repro")
    head = resolve(root, "HEAD")
    committed = read_tree(head, str(LOCK), Lock).get("stages", {})
    now = read_committed(LOCK.read_bytes(), str(LOCK), Lock).get("stages", {})
    made_on = (content(head, str(MADE_ON)) or b"a processor that is not named").decode(errors="replace").strip()
    click.echo(visible(reproduced(committed, now).sentence(made_on, processor())))
    if now != committed:
        MADE_ON.write_text(f"{processor()}\n", encoding="utf-8")
