"""import-encoder: a published pickle of weights -> safetensors."""

from pathlib import Path
from typing import get_args

import click

from spira.encoders.params import Architecture


@click.command
@click.argument("architecture", type=click.Choice(get_args(Architecture)))
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def command(architecture: Architecture, source: Path, out: Path) -> None:
    """Write an encoder's published weights as safetensors.

    SOURCE is a PyTorch file (.pt, .pth, .bin); no code in it is run. OUT, such as data/pretrained/encoder.safetensors,
    has the weights of ARCHITECTURE and nothing else.

    \b
    Example:
      spira import-encoder resemblyzer pretrained.pt data/pretrained/resemblyzer.safetensors

    Exit codes: 0 written; 1 the file is missing, damaged or of another architecture; nothing is written.
    """
    from spira.encoders.store import convert

    if out.suffix != ".safetensors":
        raise click.UsageError(f"OUT must end in .safetensors, got {out}")
    click.echo(f"{out}: {convert(architecture, source, out):,} weights of {architecture}")
