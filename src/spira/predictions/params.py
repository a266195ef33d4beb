"""The parameters of predict."""

from pydantic import Field

from spira.base.section import Section


class PredictParams(Section):
    batch_size: int = Field(gt=0, le=4096)  # windows in a forward pass
