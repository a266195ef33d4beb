"""Validation AUCs -> which model is deployed, and why, in one sentence.

Nothing but validation clips can enter: the functions are given nothing else.
"""

from collections.abc import Mapping, Set

from spira.base.errors import ParamKeyError
from spira.evaluation.params import BEST


def deployed(aucs: Mapping[str, float], baselines: Set[str], deploy: str, condition: str) -> tuple[str, str]:
    """(the name of the model, a sentence that says why; names stand between backticks).

    Two models that have the same AUC to three decimals, as the sentence prints them, are equally good; of these a
    baseline is preferred, since it is simpler and one of it is enough, and otherwise the one that is named first.

    Args:
        aucs: by model, the AUC on validation clips, in [0, 1]: the mean over folds and seeds.
        baselines: the models in which nothing is drawn.
        deploy: ``best``, or the name of a model.
        condition: under which the AUCs were measured.

    Raises:
        ParamKeyError: ``deploy`` names no model that was scored.
    """
    if deploy != BEST and deploy not in aucs:
        raise ParamKeyError("evaluate.deploy", f"expected {BEST}, {' or '.join(aucs)}, got {deploy!r}")
    if len(aucs) == 1:
        (name,) = aucs
        return name, f"`{name}` is deployed: it is the only model."
    where = f"on validation clips under `{condition}`"
    if deploy != BEST:
        every = ", ".join(f"`{name}` {auc:.3f}" for name, auc in aucs.items())
        return deploy, f"`{deploy}` is deployed because `evaluate.deploy` names it; AUC {where}: {every}."
    rounded = {name: round(auc, 3) for name, auc in aucs.items()}
    top = [name for name, auc in rounded.items() if auc == max(rounded.values())]
    name = next((one for one in top if one in baselines), top[0])
    others = ", ".join(f"`{other}` has {auc:.3f}" for other, auc in rounded.items() if other != name)
    if len(top) == 1:
        return name, f"`{name}` is deployed: its AUC {where} is the highest, {rounded[name]:.3f}; {others}."
    rule = "of equally good models a baseline is preferred" if name in baselines else "it is named first"
    return (
        name,
        f"`{name}` is deployed: no model has a higher AUC {where} than its {rounded[name]:.3f}; {others}, and {rule}.",
    )
