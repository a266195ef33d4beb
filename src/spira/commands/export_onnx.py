"""export-onnx: the networks of a package as one ONNX file."""

from pathlib import Path

import click

from spira.base import arithmetic


@click.command
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
def command(out: Path, package: Path) -> None:
    """Write the packaged networks as one ONNX file.

    For programs without PyTorch. Its input are the windows of one recording's frames, its output the recording's score.
    OUT, such as model.onnx, holds the weights too. A package of the baseline `statistics` has no network.

    \b
    Example:
      spira export-onnx model.onnx

    Exit codes: 0 written; 1 the package cannot be used or holds no network; nothing is written.
    """
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.package.onnx_model import export_onnx

    if out.suffix != ".onnx":
        raise click.UsageError(f"OUT must end in .onnx, got {out}")
    n_networks = export_onnx(package, out)
    click.echo(f"{out}: the mean score of {n_networks} network{'s' if n_networks > 1 else ''}")
