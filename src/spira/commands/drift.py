"""drift: recordings in use -> whether they are like those of the training, number by number and together."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spira.base import arithmetic
from spira.repository.git import repository_root

if TYPE_CHECKING:
    from spira.population.in_use import Use
    from spira.scorer.manifest import Manifest

EXIT_CODES = {"none": 0, "drift": 3, "too few": 4}


@click.command
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--log", type=click.Path(path_type=Path), help="Instead of FOLDER: what spira serve --log wrote.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="The first day of the log that counts.")
@click.option("--package", type=click.Path(path_type=Path), default=Path("data/package"), show_default=True)
@click.option("--model", metavar="NAME", help="Instead of --package, of the registry: champion, or a version.")
@click.option("--out", type=click.Path(path_type=Path), help="Write drift.html, drift.md and drift.json there.")
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it.")
def command(
    folder: Path | None,
    *,
    log: Path | None,
    since: datetime | None,
    package: Path,
    model: str | None,
    out: Path | None,
    as_json: bool,
) -> int:
    """Compare recordings in use with those of a model's training.

    Level, noise, spectrum, duration, scores and more, person by person: a person's recordings are alike, and a test
    over recordings would alarm where nothing moved. FOLDER has recordings, and a metadata.csv where speakers, tasks and
    sites are known; labels are not read. The section `drift` of params.yaml says what counts. Nothing leaves the
    machine, and nothing that is written names a recording or a person.

    \b
    Example:
      spira drift data/raw/demo --out /tmp/drift

    Exit codes: 0 no drift; 1 the recordings or the package cannot be read; 3 drift; 4 too few people to say.
    """
    if (folder is None) == (log is None):
        raise click.UsageError("name a FOLDER of recordings, or the file of --log")
    if since and folder:
        raise click.UsageError("--since is for --log; a folder has no days")
    if model:
        from spira.registry.served import brought, run, words

        options = {"--log": log, "--since": since and since.date(), "--out": out, "--json": as_json}
        asked = [*words(options), *(["--", str(folder)] if folder else [])]
        status, said = run(brought(repository_root(), model, "origin"), "drift", asked)
        click.echo(said, nl=False)
        return status
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.base.params import load
    from spira.monitoring.drift import find_drift
    from spira.monitoring.drift_page import drift_page
    from spira.monitoring.files import delivered
    from spira.monitoring.params import DriftParams
    from spira.population.reference import REFERENCE
    from spira.population.reference_file import read_reference
    from spira.scorer.answer import Band

    p = load("drift", DriftParams, path=repository_root() / "params.yaml")
    reference = read_reference(package / REFERENCE)
    use, manifest, hash_ = _in_use(folder, log, since, package)
    band = Band(manifest.threshold, manifest.inconclusive_width)
    found = find_drift(reference, list(use.people.values()), band, hash_, datetime.now(UTC).date(), p)
    page = drift_page(found, use.said, manifest.sample_rate, pictures=out is not None)
    click.echo(delivered(page, found.drift, out, "drift", as_json=as_json), nl=False)
    return EXIT_CODES[found.drift.verdict]


def _in_use(
    folder: Path | None, log: Path | None, since: datetime | None, package: Path
) -> "tuple[Use, Manifest, str]":
    """(the people, package.json, the package's hash)."""
    from spira.clips.parallel import n_cores
    from spira.population.in_use import in_folder, in_log
    from spira.scorer.answer import Band
    from spira.scorer.contents import require_whole
    from spira.scorer.manifest import MANIFEST, read_manifest
    from spira.scorer.scorer import Scorer

    if log:
        hash_ = require_whole(package)
        manifest = read_manifest(package / MANIFEST)
        band = Band(manifest.threshold, manifest.inconclusive_width)
        return in_log(log, hash_, band, since.date() if since else None), manifest, hash_
    assert folder is not None
    with Scorer(package, n_decoders=n_cores()) as scorer:
        return in_folder(folder, scorer), scorer.manifest, scorer.package
