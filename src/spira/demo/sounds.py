"""The sounds of the demo corpus that no synthesizer speaks: a ward, a room, a breath, and the mix.

Source: none; the four kinds of ward noise imitate what a visitor hears, by ear.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spira.demo.people import Speaker, Stream, SynthesizeParams, Utterance, generator

Waveform = NDArray[np.float64]


def ventilator(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Air blown in and let out 12 to 20 times a minute, over the hum of a motor."""
    cycle = _cycles(time, sample_rate, rng.uniform(3.0, 5.0), rng)
    blow = np.where(cycle < 0.35, np.sin(np.pi * np.clip(cycle / 0.35, 0, 1)), 0)
    let_out = np.where(cycle >= 0.4, np.exp(-(cycle - 0.4) / 0.12), 0)
    air = _band_noise(time, sample_rate, rng.uniform(300, 600), 2500, rng)
    sigh = _band_noise(time, sample_rate, 150, 1200, rng)
    motor = _tone(time, sample_rate, rng.uniform(90, 140), (1.0, 0.5, 0.3))
    return air * blow + 0.6 * sigh * let_out + 0.15 * motor + 0.05 * sigh


def alarms(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """A monitor's pulse tone, and now and then three short beeps, over faint hiss."""
    pulse = _cycles(time, sample_rate, 60 / rng.uniform(60, 100), rng) * 60 / 80
    call = _cycles(time, sample_rate, rng.uniform(2.0, 4.0), rng)
    beeps = (call < 0.3) & (call % 0.1 < 0.06)
    low, high = rng.uniform(500, 700), rng.uniform(850, 1100)
    sound = 0.4 * _tone(time, sample_rate, low, (1.0, 0.2)) * (pulse < 0.08)
    sound += _tone(time, sample_rate, high, (1.0, 0.4, 0.3)) * _smooth(beeps.astype(float), sample_rate // 200)
    return sound + 0.03 * _band_noise(time, sample_rate, 100, 6000, rng)


def murmur(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Six people who talk at once behind a curtain: voices without words."""
    voices: Waveform = np.stack([_talker(time, sample_rate, rng) for _ in range(6)]).sum(axis=0)
    return voices


def corridor(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Low rumble, footsteps that come and go, and a trolley that rattles."""
    rumble = _band_noise(time, sample_rate, 30, 250, rng)
    step = np.exp(-_cycles(time, sample_rate, rng.uniform(0.5, 0.7), rng) / 0.05)
    near = _wander(time, sample_rate, 0.25, rng)
    steps = _band_noise(time, sample_rate, 80, 900, rng) * step * near
    rattle = _band_noise(time, sample_rate, 1500, 5000, rng) * _wander(time, sample_rate, 12, rng) ** 2
    return 0.4 * rumble + 1.5 * steps + 0.4 * rattle * _wander(time, sample_rate, 0.3, rng) ** 2


KINDS: dict[str, Callable[[int, int, np.random.Generator], Waveform]] = {
    "ventilator": ventilator,
    "monitor alarms": alarms,
    "murmur": murmur,
    "corridor": corridor,
}


def ward_noise(kind: str, time: int, sample_rate: int, peak: float, rng: np.random.Generator) -> Waveform:
    """A recording of a ward (time,) whose largest |amplitude| is ``peak``.

    Somebody knocks against something now and then, louder than all else: the
    peak of a real ward is 8 to 19 times its RMS, that of the bare kinds 5 to 10.
    """
    return _scale(_scale(KINDS[kind](time, sample_rate, rng), 0.5) + knocks(time, sample_rate, rng), peak)


def knocks(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Short knocks, about two in three seconds, of peak 0.5 to 1."""
    starts: list[int] = np.flatnonzero(rng.uniform(size=time) < 0.7 / sample_rate).tolist()
    sound = np.zeros(time)
    for start in starts:
        knock = _band_noise(sample_rate // 10, sample_rate, 150, rng.uniform(800, 3000), rng)
        knock *= np.exp(-np.arange(len(knock)) / (0.01 * sample_rate))
        room = sound[start : start + len(knock)]
        room += _scale(knock, rng.uniform(0.5, 1))[: len(room)]
    return sound


def compose(
    params: SynthesizeParams,
    speaker: Speaker,
    utterance: Utterance,
    spoken: Sequence[NDArray[np.float32]],
    *,
    sample_rate: int,
    number: int,
) -> Waveform:
    """One recording: the breath groups with their pauses, a breath in each, the room, and perhaps the ward.

    ::

        |-edge-[ group 0 ]-pause-[ group 1 ]- ... -[ group n ]-edge-|

    Every draw but the ward's is the same for both labels, and the ward has a
    generator of its own: to turn it on changes nothing but that it is added.

    Args:
        spoken: the sound of each breath group, (time,) each, without silence at its ends.
        sample_rate: Hz, of ``spoken`` and of the result.
        number: of the clip among its speaker's.
    """
    rng = generator(params, Stream.BACKGROUND, speaker.number, number)
    first, last = params.edge_seconds.draw(rng), params.edge_seconds.draw(rng)
    silences = [np.zeros(round(seconds * sample_rate)) for seconds in (first, *utterance.pauses, last)]
    breaths = [breath(len(silence), sample_rate, params.breath_peak.draw(rng), rng) for silence in silences[1:-1]]
    speech = _interleave(silences, spoken)
    air = _interleave([silences[0], *breaths, silences[-1]], [np.zeros(len(group)) for group in spoken])
    hum = _band_noise(len(speech), sample_rate, 40, 2000, rng)
    sound = _scale(speech, speaker.speech_peak) + air + speaker.room_tone_rms * hum
    if params.ward_noise_in_patients and speaker.label == "patient":
        rng = generator(params, Stream.WARD, speaker.number, number)
        kind, peak = str(rng.choice(list(KINDS))), params.ward_noise_peak.draw(rng)
        sound += ward_noise(kind, len(sound), sample_rate, peak, rng)
    return sound


def breath(time: int, sample_rate: int, peak: float, rng: np.random.Generator) -> Waveform:
    """Air drawn in through the mouth, swelling and fading over (time,)."""
    return _scale(_band_noise(time, sample_rate, 400, 3500, rng) * np.hanning(time), peak)


def _interleave(outer: Sequence[Waveform], inner: Sequence[NDArray[np.floating]]) -> Waveform:
    """outer 0, inner 0, outer 1, inner 1, ..., the last outer."""
    pieces = [piece for pair in zip(outer, inner, strict=False) for piece in pair]
    return np.concatenate([*pieces, outer[-1]])


def _scale(sound: Waveform, peak: float) -> Waveform:
    largest = np.abs(sound).max(initial=0)
    return sound * (peak / largest) if largest > 0 else sound


def _band_noise(time: int, sample_rate: int, low: float, high: float, rng: np.random.Generator) -> Waveform:
    """Gaussian noise of unit RMS, 12 dB an octave down on either side of low..high Hz."""
    noise = _filter(rng.standard_normal(time), sample_rate, lambda hertz: _band(hertz, low, high))
    return noise / float(np.sqrt(np.mean(noise**2)))


def _band(hertz: Waveform, low: float, high: float) -> Waveform:
    """Gain at each frequency: about 1 between low and high."""
    return (hertz / low) ** 2 / (1 + (hertz / low) ** 2) / (1 + (hertz / high) ** 2)


def _filter(sound: Waveform, sample_rate: int, gain: Callable[[Waveform], Waveform]) -> Waveform:
    """The sound with each frequency (Hz) multiplied by its gain, without delay."""
    size = 1 << max(len(sound) - 1, 1).bit_length()  # a length with a large prime takes ten times as long
    spectrum = np.fft.rfft(sound, size) * gain(np.fft.rfftfreq(size, 1 / sample_rate).astype(np.float64))
    filtered: Waveform = np.fft.irfft(spectrum, size)[: len(sound)]
    return filtered


def _tone(time: int, sample_rate: int, hertz: float, harmonics: Sequence[float]) -> Waveform:
    """A steady tone with these amplitudes of its first, second, ... harmonic."""
    phase = 2 * np.pi * hertz / sample_rate * np.arange(time)
    tone: Waveform = np.stack([a * np.sin(i * phase) for i, a in enumerate(harmonics, start=1)]).sum(axis=0)
    return tone


def _cycles(time: int, sample_rate: int, seconds: float, rng: np.random.Generator) -> Waveform:
    """Position within a cycle of this length, [0, 1), from a random start."""
    return (np.arange(time) / (seconds * sample_rate) + rng.uniform()) % 1


def _wander(time: int, sample_rate: int, hertz: float, rng: np.random.Generator) -> Waveform:
    """A level that drifts within [0, 1], about ``hertz`` times a second."""
    n_knots = int(time / sample_rate * hertz) + 3
    knots = (np.arange(n_knots) - rng.uniform()) * sample_rate / hertz
    return np.interp(np.arange(time), knots, rng.uniform(0, 1, n_knots)).astype(np.float64)


def _smooth(level: Waveform, time: int) -> Waveform:
    """The mean over the last ``time`` samples, so that a beep does not click."""
    total: Waveform = np.cumsum(np.concatenate([np.zeros(time), level]))
    mean: Waveform = (total[time:] - total[:-time]) / time
    return mean


def _talker(time: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """A buzz with formants whose loudness follows syllables."""
    pitch = rng.uniform(95, 230) * 2 ** (0.4 * _wander(time, sample_rate, 3, rng))
    buzz = (1 - np.cumsum(pitch / sample_rate) % 1) ** 4
    formants = rng.uniform((350, 900, 2200), (700, 1900, 2900))

    def vowel(hertz: Waveform) -> Waveform:
        peaks = 1 / (1 + ((hertz - formants[:, None]) / 120) ** 2)
        spectrum: Waveform = _band(hertz, 80, 4000) * peaks.sum(axis=0)
        return spectrum

    syllables = _wander(time, sample_rate, rng.uniform(5, 8), rng) ** 2 * _wander(time, sample_rate, 0.6, rng)
    voice: Waveform = _scale(_filter(buzz - buzz.mean(), sample_rate, vowel), rng.uniform(0.4, 1)) * syllables
    return voice
