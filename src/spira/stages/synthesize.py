"""synthesize: its parameters -> the demo corpus and a folder of ward noises, both invented."""

if __name__ == "__main__":  # before what takes seconds to import
    from spira.base.stage_process import begin_stage

    begin_stage()

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from multiprocessing import active_children, get_context
from pathlib import Path

import numpy as np
import polars as pl
import soundfile
import soxr
from numpy.typing import NDArray

from spira.base.errors import DataError
from spira.base.files import write_bytes
from spira.base.params import load
from spira.base.stage_process import as_stage
from spira.demo import speech as praat
from spira.demo.people import (
    TASKS,
    LogNormal,
    Normal,
    Speaker,
    Stream,
    SynthesizeParams,
    attainable_auc,
    draw_speaker,
    draw_utterance,
    generator,
)
from spira.demo.sounds import KINDS, compose, ward_noise

MARK = "Written by `python -m spira.stages.synthesize`; do not edit."
N_PARTS = 2  # the synthesizer's bytes depend on the calls before: a number of the machine's would change them


def run(
    synthesize: SynthesizeParams,
    *,
    speech: Path = Path("data/raw/demo"),
    noise: Path = Path("data/raw/demo_noise"),
) -> None:
    """Speaks the speakers in two fixed parts, each in number order and in a fresh process.

    So the bytes depend on the parameters only, whatever this process did
    before, and more speakers leave the first ones as they were.
    """
    _replace(speech, _speech_readme(synthesize))
    _replace(noise, _noise_readme(synthesize))
    parts = [range(part, synthesize.n_speakers, N_PARTS) for part in range(N_PARTS)]
    # One task a process: a worker that took both parts would carry state from one to the other.
    with (
        ProcessPoolExecutor(N_PARTS, mp_context=get_context("spawn"), max_tasks_per_child=1) as workers,
        _stopped_on_error(),
    ):
        parts_written = [workers.submit(_write_speakers, synthesize, part, speech) for part in parts]
        noises = [_write_noise(synthesize, number, noise) for number in range(synthesize.n_noises)]
        rows = [row for part in parts_written for row in part.result()]
    for folder, table in ((speech, rows), (noise, noises)):
        text = pl.DataFrame(table).sort("file_path").write_csv()
        write_bytes(text.encode(), folder / "metadata.csv")


@contextmanager
def _stopped_on_error() -> Iterator[None]:
    """Ends the workers, whose parts take half a minute, where one has failed or the stage is to end."""
    try:
        yield
    except BaseException:
        for process in active_children():
            process.terminate()
        raise


def _replace(folder: Path, readme: str) -> None:
    """Empties a folder that this stage wrote, and no other: recordings of people cannot be made again."""
    note = folder / "README.md"
    if folder.exists() and any(folder.iterdir()) and not (note.exists() and MARK in note.read_text("utf-8")):
        raise DataError(f"{folder}: must be empty or written by synthesize, got other files; move them away")
    shutil.rmtree(folder, ignore_errors=True)
    write_bytes(readme.encode(), note)


def _write_speakers(params: SynthesizeParams, numbers: range, folder: Path) -> list[dict[str, object]]:
    speakers = [draw_speaker(params, number) for number in numbers]
    return [_write_clip(params, speaker, task, folder) for speaker in speakers for task in TASKS]


def _write_clip(params: SynthesizeParams, speaker: Speaker, task: str, folder: Path) -> dict[str, object]:
    utterance = draw_utterance(params, speaker, task)
    ends = [","] * len(utterance.pauses) + ["."]  # speech that goes on, and speech that ends
    spoken = [
        praat.speak(
            group + end,
            voice=speaker.voice,
            words_per_minute=speaker.words_per_minute,
            pitch_semitones=speaker.pitch_semitones,
            pitch_range=speaker.pitch_range,
        )
        for group, end in zip(utterance.groups, ends, strict=True)
    ]
    number, name = TASKS.index(task), f"{speaker.id}_{task}.wav"
    sound = compose(params, speaker, utterance, spoken, sample_rate=praat.SAMPLE_RATE, number=number)
    _write_wav(folder / name, sound, speaker.sample_rate)
    return {
        "file_path": name,
        "label": speaker.label,
        "speaker_id": speaker.id,
        "sex": speaker.sex,
        "age": speaker.age,
        "site": speaker.site,
        "device": speaker.device,
        "recorded_on": speaker.recorded_on,
        "task": task,
    }


def _write_noise(params: SynthesizeParams, number: int, folder: Path) -> dict[str, object]:
    """Kinds take turns. The draws are not those of the wards behind the patients."""
    rng = generator(params, Stream.RECORDING, number)
    kind = list(KINDS)[number % len(KINDS)]
    time = round(params.noise_seconds.draw(rng) * praat.SAMPLE_RATE)
    sound = ward_noise(kind, time, praat.SAMPLE_RATE, params.noise_peak, rng)
    name = f"noise{number:02d}.wav"
    _write_wav(folder / name, sound, int(rng.choice(params.sample_rates)))
    return {"file_path": name, "description": f"{kind} (synthetic)"}


def _write_wav(path: Path, sound: NDArray[np.float64], sample_rate: int) -> None:
    wav = BytesIO()
    samples = soxr.resample(sound, praat.SAMPLE_RATE, sample_rate)
    soundfile.write(wav, samples, sample_rate, format="WAV", subtype="PCM_16")
    write_bytes(wav.getvalue(), path)


def _speech_readme(params: SynthesizeParams) -> str:
    ward = params.ward_noise_peak
    on = ON.format(low=ward.low, high=ward.high)
    return README.format(
        mark=MARK,
        n_speakers=params.n_speakers,
        youngest=params.youngest,
        oldest=params.oldest,
        table="\n".join(map(_row, params.latents, LATENTS)),
        confounder=on if params.ward_noise_in_patients else "**Off.** No recording holds ward noise.",
        auc=attainable_auc(params),
    )


def _row(latent: LogNormal | Normal, note: tuple[str, str]) -> str:
    """What differs, its distribution by class, its separation and its source."""
    if isinstance(latent, Normal):
        centre, spread = "mean", f"sd {latent.sd:g}"
    else:
        centre, spread = "median", f"sd of ln {latent.log_sd:g}"
    numbers = f"{centre} {latent.control:g} | {centre} {latent.patient:g} | {spread} | {latent.separation:.2f}"
    return f"| {note[0]} | {numbers} | {note[1]} |"


def _noise_readme(params: SynthesizeParams) -> str:
    return (
        f"# Ward noise, SYNTHETIC: {params.n_noises} computed recordings of four kinds. {MARK}\n"
        "Noise insertion draws from here; these are not the draws mixed into the demo's patients.\n"
    )


LATENTS = (  # as SynthesizeParams.latents: what it is, and where it comes from
    ("pauses in an utterance (breath groups: one more)", "[1] for the centres, [3]"),
    ("a speaker's pause, s", "[1] for patients; reported 0.13 s in controls, made longer here"),
    ("words a minute while speaking", "assumed: slower in patients"),
    ("F0 above the voice's own, semitones", "[2] for the direction; size assumed"),
    ("range of F0, the voice's own = 1", "[2] for the direction; size assumed"),
)

ON = """\
**On.** Ward noise (ventilator, monitor alarms, murmur or corridor), peak {low:g} to {high:g}, is mixed into the
patients' recordings only, as it is in SPIRA's own data. A model can score above the attainable AUC below by
listening to the ward. That is a defect of such a model, not a success."""

README = """\
# Demo corpus: SYNTHETIC SPEECH. It supports no medical claim.

**Nobody spoke and nobody was ill.** A speech synthesizer (espeak-ng in Praat, Brazilian Portuguese) reads
two texts for each of {n_speakers} invented speakers, so that the pipeline runs where no data are at hand. A model
trained on it has learnt the table below, and nothing about patients. {mark}

## What differs between the classes

Five latents of a speaker, drawn independently; given these, the class changes nothing but the confounder.

| latent | control | patient | spread, both | d' | source |
|---|---|---|---|---|---|
{table}

The number of pauses is rounded at random to a whole number, at most one between any two of eight phrases;
their places are drawn evenly. The synthesizer holds the range of F0 to at most 2. The published numbers are
means over speakers, taken here as medians. The spreads are ours, chosen so that the classes overlap.

## What does not

Half of the speakers are patients, half of each class are women, ages are even over {youngest} to {oldest} in both.
Voice, level, room tone, breath, silence at the ends, sample rate, site, device and date are drawn without
regard to the class. Age, site, device and date leave no trace in the sound.

## The confounder

{confounder}

## Best attainable AUC, per speaker: {auc:.3f}

That is the likelihood ratio of the five latents, known exactly: Phi(d / sqrt 2), where d is the root of the
sum of the squared d'. A clip shows them only in part (pauses come in whole numbers, and a control may make
none to measure), so the sound of one clip allows less. A small test set may exceed it by luck.

## Sources

1. Fernandes-Svartman, Berti, Martins, Medeiros, Queiroz. Temporal prosodic cues for COVID-19 in Brazilian
   Portuguese speakers. Speech Prosody 2022. A sentence has 3.16 pauses in patients and 0.85 in controls, of
   0.53 s and 0.13 s.
2. Berti et al. Fundamental frequency related parameters in Brazilians with COVID-19. Journal of the
   Acoustical Society of America, 2023. F0 and its standard deviation are higher in patients.
3. Lee, Loudon, Jacobson, Stuebing. Speech breathing in patients with lung disease. American Review of
   Respiratory Disease 147(5), 1993. More breaths a minute, more of the time spent breathing in.
4. Casanova et al. Deep learning against COVID-19: respiratory insufficiency detection in Brazilian Portuguese
   speech. Findings of ACL-IJCNLP 2021. Ward noise behind the patients, and noise inserted into both classes.

The rhyme is traditional.
"""


if __name__ == "__main__":
    with as_stage():
        run(load("synthesize", SynthesizeParams))
