"""reproduced: dvc.lock as committed and as it is now -> whether the committed bytes came out, in one line.

``spira reproduced``, with which ``make repro`` ends. Which processor made the committed bytes is in
data/processor.txt, on which no stage depends; it is written anew where the results are.
"""

from pathlib import Path

from spira.base.arithmetic import processor
from spira.base.errors import DataError, visible
from spira.base.program import exit_on_error
from spira.compare.committed import Lock, read_committed
from spira.compare.reproduction import reproduced
from spira.compare.revision import content, read_tree, resolve

LOCK, MADE_ON = Path("dvc.lock"), Path("data/processor.txt")


def main() -> None:
    root = Path.cwd()
    if not (root / LOCK).is_file():
        raise DataError(f"{root / LOCK}: no such file; run from the repository's root, after dvc repro")
    head = resolve(root, "HEAD")
    committed = read_tree(head, str(LOCK), Lock).get("stages", {})
    now = read_committed(LOCK.read_bytes(), str(LOCK), Lock).get("stages", {})
    made_on = (content(head, str(MADE_ON)) or b"a processor that is not named").decode(errors="replace").strip()
    print(visible(reproduced(committed, now).sentence(made_on, processor())))
    if now != committed:
        MADE_ON.write_text(f"{processor()}\n", encoding="utf-8")


if __name__ == "__main__":
    with exit_on_error():
        main()
