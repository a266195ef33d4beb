"""storage: .storage/ -> served as S3 on this machine, for development."""

from pathlib import Path

import click


@click.command
@click.option("--port", type=click.IntRange(1, 65535), default=9000, show_default=True, help="Of the loopback address.")
def command(*, port: int) -> None:
    """Serve .storage/ as S3 on this machine, for development.

    It says how DVC reaches it. The key is in .storage/secret, which its owner alone can read.

    \b
    Example:
      spira storage --port 9001

    Exit codes: 1 the port is taken, or rclone is missing; otherwise that of rclone, which Ctrl-C ends.
    """
    from spira.remote.server import prepare, serve

    folder = Path(".storage")
    click.echo(prepare(folder, port))
    serve(folder, port)
