"""pack: a corpus's folder -> tar shards of its recordings and a manifest, in another folder."""

from pathlib import Path

import click

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command
@click.argument("folder", type=_FOLDER)
@click.argument("out", type=_FOLDER)
def command(*, folder: Path, out: Path) -> None:
    """Pack a corpus of many recordings into few tar shards.

    FOLDER has metadata.csv and recordings; it stays as it is. OUT gets the same
    table, tar shards of 256 to 512 MB on average, and manifest.parquet, which
    says where each recording lies. The pipeline reads OUT as it reads FOLDER,
    and writes the same bytes. A run that was ended goes on when it is repeated.

    \b
    Example:
      spira pack data/raw/demo /tmp/packed

    Exit codes: 0 packed; 1 the folder is no corpus, or OUT holds something.
    """
    from spira.ingest.packing import pack

    packed = pack(folder, out)
    click.echo(f"{out}: {packed.n_recordings} files, {packed.n_bytes / 2**20:.0f} MB in {packed.n_shards} tar shards")
