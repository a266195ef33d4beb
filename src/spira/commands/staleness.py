"""staleness: the corpus's dates -> how a model does as the months pass since its training."""

from pathlib import Path

import click

from spira.base import arithmetic


@click.command
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write staleness.html, staleness.md and staleness.json there."
)
@click.option("--json", "as_json", is_flag=True, help="For programs: all of it.")
def command(*, out: Path | None, as_json: bool) -> int:
    """Say how a model does as the months pass.

    It is trained on a corpus's first months, and tested on each month after them. Of the clips that ingest accepted,
    those with a date (`recorded_on`) count; the model is the baseline `statistics`. Nobody is tested by a model that
    met them. AUC by the months since the training's last says how old is too old.

    \b
    Example:
      spira staleness --out /tmp/staleness

    Exit codes: 0 done; 1 there are no clips; 4 too few people with a date to say anything.
    """
    arithmetic.settle()  # before NumPy and torch are imported
    from spira.base.params import load
    from spira.base.section import FolderName, SampleRate
    from spira.encoders.params import EmbeddingParams
    from spira.encoders.store import load_encoder
    from spira.evaluation.origin import origin
    from spira.evaluation.params import EvaluateParams
    from spira.features.params import FeatureParams, WindowParams
    from spira.features.rendering import make_renderer
    from spira.models.params import BaselineParams
    from spira.monitoring.dated import dated_clips
    from spira.monitoring.files import delivered
    from spira.monitoring.staleness import Asked, staleness
    from spira.monitoring.staleness_page import staleness_page

    features, embedding = load("features", FeatureParams), load("embedding", EmbeddingParams)
    sample_rate, evaluate = load("sample_rate", SampleRate), load("evaluate", EvaluateParams)
    encoder = load_encoder(embedding, Path("data/pretrained")) if features.kind == "embedding" else None
    renderer = make_renderer(features, load("windows", WindowParams), sample_rate, encoder)
    p = load("baseline", BaselineParams).statistics
    dated, n_undated = dated_clips(Path("data/clips"), renderer, features, sample_rate, p.blocks)
    asked = Asked(evaluate.min_speakers, evaluate.n_resamples, evaluate.confidence, evaluate.seed)
    found = staleness(dated, origin(load("corpus", FolderName)), n_undated, p, asked)
    click.echo(delivered(staleness_page(found), found, out, "staleness", as_json=as_json), nl=False)
    return 0 if found.trials else 4
