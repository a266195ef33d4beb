"""The features of SPIRA's publication, as parameters."""

from spira.features.params import FeatureParams

RATE = 16_000

SPIRA = {
    "kind": "mfcc",
    "n_fft": 1200,
    "win_length": 400,
    "hop_length": 160,
    "n_mels": 40,
    "n_mfcc": 40,
    "f_min": 0.0,
    "f_max": 8000.0,
    "normalize": "none",
    "active_db": 20.0,  # read where normalize is active
}


def params(**changes: object) -> FeatureParams:
    return FeatureParams.model_validate({**SPIRA, **changes})
