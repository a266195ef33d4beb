"""Text -> speech, through Praat's synthesizer (espeak-ng) in Brazilian Portuguese."""

import numpy as np
import parselmouth
from numpy.typing import NDArray
from parselmouth.praat import call

from spira.base.errors import DataError

LANGUAGE = "Portuguese (Brazil)"
SAMPLE_RATE = 22050  # Hz; the synthesizer's own, so that Praat resamples nothing
AUDIBLE = 2e-3  # of full scale; less than this at either end is the synthesizer's padding
PITCH_SLOPE = 0.69  # measured: a pitch setting of 1 + x raises F0 by the factor 1 + 0.69 x, in every voice used


def speak(
    text: str, *, voice: str, words_per_minute: float, pitch_semitones: float, pitch_range: float
) -> NDArray[np.float32]:
    """The text as spoken, (time,) in [-1, 1] at ``SAMPLE_RATE``, from its first audible sample to its last.

    The synthesizer carries state from one call to the next (flutter and
    aspiration noise, and with them a few samples of length) and offers no seed:
    the same calls in the same order in a fresh process give the same bytes, and
    nothing less does.

    Args:
        text: words; a comma at the end asks for the tune of speech that goes on.
        voice: one of Praat's voice variants, such as ``"Female1"``.
        words_per_minute: held to [80, 450], the synthesizer's own limits.
        pitch_semitones: above the voice's own F0; held to about [-7, 9].
        pitch_range: 1 is the voice's own; held to [0, 2].

    Raises:
        DataError: the synthesizer knows no such voice, or says nothing.
    """
    pitch = 1 + (2 ** (pitch_semitones / 12) - 1) / PITCH_SLOPE
    settings = [0.01, _hold(pitch, 0.5, 2), _hold(pitch_range, 0, 2), _hold(words_per_minute, 80, 450)]
    try:
        synthesizer = call("Create SpeechSynthesizer...", LANGUAGE, voice)
        call(synthesizer, "Speech output settings...", float(SAMPLE_RATE), *settings, "IPA")
        made = call(synthesizer, "To Sound...", text, "no")
    except parselmouth.PraatError as error:
        raise DataError(f"speech synthesizer: voice {voice!r}: {error}") from error
    sound = made[0] if isinstance(made, list) else made
    waveform: NDArray[np.float32] = sound.values[0].astype(np.float32)
    audible = np.flatnonzero(np.abs(waveform) > AUDIBLE)
    if not len(audible):
        raise DataError(f"speech synthesizer: must speak {text!r} with {voice!r}, got silence")
    return waveform[audible[0] : audible[-1] + 1]


def _hold(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))
