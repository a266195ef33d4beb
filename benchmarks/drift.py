"""How often `spira drift` alarms where nothing moved, and how surely where something did: `make bench-drift`.

People are spoken by the demo's synthesizer and heard by the committed package, which has met none of them. Each draw
takes two samples of them without an overlap: a reference, and people in use, whose recordings are as they are or were
changed. Recordings are changed as sound, then encoded and decoded like any other; a shift in deviations is added to one
number of each person, another number at each draw.
"""

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly
from scipy.stats import binomtest, ks_2samp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/support"))
from populations import reference
from spira.base.array_types import Floats, Waveform
from spira.base.params import load
from spira.clips.parallel import n_cores, ordered_map
from spira.demo.people import SynthesizeParams
from spira.monitoring.drift import find_drift
from spira.monitoring.params import DriftParams
from spira.monitoring.two_samples import holm
from spira.population.in_use import in_folder, observed
from spira.population.people import Person
from spira.population.recording import NUMBERS, describe
from spira.scorer.answer import Band
from spira.scorer.scorer import Heard, Scorer
from spira.stages import synthesize

N_SPEAKERS, N_REFERENCE, N_NEW = 600, 160, 50
SHIFT = 0.8  # standard deviations between people
RATE = 16_000
SEED = 7  # of the people; not the demo's


def encoded(sound: Waveform, rate: int, container: str, subtype: str, **options: object) -> bytes:
    """A file with this sound."""
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format=container, subtype=subtype, **options)
    return file.getvalue()


def as_it_is(sound: Waveform) -> bytes:
    return encoded(sound, RATE, "WAV", "PCM_16")


def by_telephone(sound: Waveform) -> bytes:
    """Half of the band is lost."""
    return encoded(resample_poly(sound, 1, 2).astype(np.float32), RATE // 2, "WAV", "PCM_16")


def noisier(sound: Waveform) -> bytes:
    """White noise that lifts the noise floor by 6 dB."""
    floor = describe(sound, RATE, 20.0)["noise_floor_db"]
    rng = np.random.default_rng(len(sound))
    return as_it_is(sound + rng.normal(size=sound.size).astype(np.float32) * np.float32(3**0.5 * 10 ** (floor / 20)))


def softer(sound: Waveform) -> bytes:
    """Another hospital's microphone: 6 dB."""
    return as_it_is(sound * np.float32(0.5))


def opus(sound: Waveform) -> bytes:
    return encoded(sound, RATE, "OGG", "OPUS", compression_level=1.0)


def mp3(sound: Waveform) -> bytes:
    return encoded(sound, RATE, "MP3", "MPEG_LAYER_III", compression_level=0.9)


CHANGES: dict[str, Callable[[Waveform], bytes]] = {
    "nothing": as_it_is,
    "sampled at 8 kHz": by_telephone,
    "noise floor + 6 dB": noisier,
    "level - 6 dB": softer,
    "Opus, smallest": opus,
    "MP3, smallest": mp3,
}


def heard(people: dict[str, list[tuple[str, Waveform]]], change: str, scorer: Scorer) -> list[Person]:
    """Everybody, with their recordings changed."""

    def one(recordings: list[tuple[str, Waveform]]) -> Person:
        found = [observed(task, scorer.hear(CHANGES[change](sound)), scorer.manifest) for task, sound in recordings]
        scores = [each.score for each in found if each.score is not None]
        mean = float(np.mean(scores)) if scores else None
        return Person(mean, scorer.band.diagnosis(mean), tuple(found), {})

    return list(ordered_map(one, people.values()))


def shifted(people: list[Person], number: str, by: float) -> list[Person]:
    """The same people, with so much added to one number of each recording."""
    return [
        person._replace(
            recordings=tuple(
                one.model_copy(update={"statistics": {**one.statistics, number: one.statistics[number] + by}})
                for one in person.recordings
                if one.statistics
            )
        )
        for person in people
    ]


def spread(people: list[Person], number: str) -> float:
    """The standard deviation between people."""
    return float(np.std([np.mean([r.statistics[number] for r in one.recordings if r.statistics]) for one in people]))


def alarms(everybody: dict[str, list[Person]], change: str, n_draws: int, band: Band, p: DriftParams) -> int:
    """In how many draws drift is found."""
    n_found = 0
    for draw in range(n_draws):
        rng = np.random.default_rng((SEED, draw))
        chosen = rng.permutation(N_SPEAKERS)[: N_REFERENCE + N_NEW]
        before = [everybody["nothing"][i] for i in chosen[:N_REFERENCE]]
        after = [everybody.get(change, everybody["nothing"])[i] for i in chosen[N_REFERENCE:]]
        if change not in everybody:
            number = NUMBERS[draw % len(NUMBERS)]
            after = shifted(after, number, SHIFT * spread(before, number))
        own = p.model_copy(update={"seed": draw})
        found = find_drift(reference(before), after, band, "0" * 64, date(2026, 1, 1), own).drift
        n_found += found.verdict == "drift"
    return n_found


def usual_alarms(people: list[Person], n_draws: int) -> dict[str, int]:
    """In how many draws, where nothing moved, the usual ways over recordings would alarm for one number at least."""
    found = dict.fromkeys(("Kolmogorov-Smirnov, each at 5 %", "the same, by Holm", "stability index > 0.1"), 0)
    for draw in range(n_draws):
        chosen = np.random.default_rng((SEED, draw)).permutation(N_SPEAKERS)[: N_REFERENCE + N_NEW]
        old, new = (_recordings([people[i] for i in part]) for part in np.split(chosen, [N_REFERENCE]))
        p = np.array([ks_2samp(old[:, i], new[:, i]).pvalue for i in range(len(NUMBERS))])
        unstable = max(_stability_index(old[:, i], new[:, i]) for i in range(len(NUMBERS))) > 0.1
        for name, alarm in zip(found, (p.min() <= 0.05, holm(p).min() <= 0.05, unstable), strict=True):
            found[name] += bool(alarm)
    return found


def _recordings(people: list[Person]) -> Floats:
    """(n_recordings, n_numbers)."""
    return np.array([list(one.statistics.values()) for person in people for one in person.recordings if one.statistics])


def _stability_index(old: Floats, new: Floats) -> float:
    """Over tenths of the old, each with half a recording more, lest one is empty."""
    edges = np.quantile(old, np.arange(1, 10) / 10)
    before, after = ((np.bincount(np.searchsorted(edges, x), minlength=10) + 0.5) / (len(x) + 5) for x in (old, new))
    return float(((after - before) * np.log(after / before)).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--package", type=Path, default=Path("data/package"))
    parser.add_argument("--draws", type=int, default=200, help="of each change")
    parser.add_argument("--unchanged", type=int, default=1000, help="draws where nothing moved")
    asked = parser.parse_args()
    p, spoken = load("drift", DriftParams), load("synthesize", SynthesizeParams)
    with tempfile.TemporaryDirectory() as folder, Scorer(asked.package, n_decoders=n_cores()) as scorer:
        corpus = Path(folder, "people")
        synthesize.run(
            spoken.model_copy(update={"n_speakers": N_SPEAKERS, "seed": SEED}), speech=corpus, noise=Path(folder, "n")
        )
        start = time.perf_counter()
        everybody = in_folder(corpus, scorer).people
        seconds = time.perf_counter() - start
        n_clips = sum(len(person.recordings) for person in everybody.values())
        print(
            f"{n_clips} recordings described and scored in {seconds:.1f} s: {1000 * seconds / n_clips:.1f} s for 1,000"
        )
        sounds = _sounds(corpus, scorer)
        changed = {change: heard(sounds, change, scorer) for change in CHANGES}
        band = scorer.band
    print("| what moved | draws | reports that say drift | 95 % interval |\n|---|---|---|---|")
    for change in (*CHANGES, f"one number by {SHIFT} deviations"):
        n_draws = asked.unchanged if change == "nothing" else asked.draws
        n_found = alarms(changed, change, n_draws, band, p)
        low, high = binomtest(n_found, n_draws).proportion_ci(method="exact")
        print(f"| {change} | {n_draws:,} | {n_found / n_draws:.1%} | {low:.1%} to {high:.1%} |", flush=True)
    print("\nWhere nothing moved, over recordings and not people:")
    for name, n_found in usual_alarms(changed["nothing"], asked.unchanged).items():
        print(f"{name}: an alarm in {n_found / asked.unchanged:.0%} of draws")


def _sounds(corpus: Path, scorer: Scorer) -> dict[str, list[tuple[str, Waveform]]]:
    """By speaker, the task and the waveform of each recording."""
    found: dict[str, list[tuple[str, Waveform]]] = {}
    for path in sorted(corpus.glob("*.wav")):
        speaker, _, task = path.stem.partition("_")
        heard_now = scorer.hear(path)
        assert isinstance(heard_now, Heard), heard_now
        found.setdefault(speaker, []).append((task, heard_now.decoded.waveform))
    return found


if __name__ == "__main__":
    main()
