"""What all parts of the study share: the data, the models, the budget, and where results are kept."""

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from FunFuseSlicer.Logic.fusion.models import Model
from FunFuseSlicer.Logic.methods import REFERENCES
from FunFuseSlicer.Logic.monitor import Monitor

from ..training.options import TrainingOptions
from ..training.pairs import Pair, fingerprint
from ..training.trainer import Callbacks, Diverged, train
from ..training.variants import load_network, save_network
from .model_measure import Fuse, Group, Row, fuse_with, mean_row, measure
from .model_store import Store

# The λ of tables with one λ only: the paper's.
LAMBDA = 0.8
TEST, HELD_OUT = "test", "held-out"
METHOD_LABELS = {"average": "plain average", "maximum": "maximum", "laplacian_pyramid": "Laplacian pyramid"}


@dataclass(frozen=True)
class Budget:
    """How much is trained and measured.

    :param steps: training steps of every variant of the ablation; ``paper_steps`` of the paper's preset.
    :param tune_steps: steps of each network that is fine-tuned for one λ, ``tune_rate`` their peak rate.
    :param bound_steps: steps of the direct optimization of pixels.
    :param seeds: every variant is trained once with each.
    :param some: so many held-out pairs at most where many measurements are made on each.
    :param batch: other than the preset's, for quick trials; ``crop`` likewise.
    """

    steps: int
    paper_steps: int
    tune_steps: int
    tune_rate: float
    bound_steps: int
    seeds: Tuple[int, ...] = (0,)
    some: int = 12
    batch: Optional[int] = None
    crop: Optional[int] = None

    def trial(self, recipe: TrainingOptions) -> TrainingOptions:
        """The recipe with the batch and crop of a quick trial, where there are any."""
        changes = {name: getattr(self, name) for name in ("batch", "crop") if getattr(self, name) is not None}
        return replace(recipe, **changes)


@dataclass
class Study:
    """See the module.

    :param training: the pairs to train on.
    :param groups: the unseen pairs by name, the test pairs first.
    :param models: the models to examine, the default one first.
    """

    training: List[Pair]
    groups: Dict[str, Group]
    models: List[Model]
    budget: Budget
    store: Store
    monitor: Monitor = field(default_factory=Monitor)

    def __post_init__(self):
        self.training_fingerprint = fingerprint(self.training)

    # --- Measured ---------------------------------------------------------------------------------------

    def network_rows(
        self, label: str, sha256: str, load: Callable, lam: float, group: Group
    ) -> Optional[List[Row]]:
        """The terms of every pair, by a network at one λ.

        :param label: for the progress bar.
        :param load: no arguments, returns the network; called only where something is to be computed.
        :return: None when missing, see :class:`Store`.
        """
        return self.store.once(
            f"measured/{sha256[:12]}-{lam:g}-{group.name}",
            {"network": sha256, "lambda": lam, "pairs": group.fingerprint},
            lambda: self._measure(label, fuse_with(load().at_lambda(lam)), group),
        )

    def model_rows(self, model: Model, lam: float, group: Group) -> Optional[List[Row]]:
        """:meth:`network_rows` of one of the models."""
        return self.network_rows(f"{model.name}, λ = {lam:g}", model.sha256, lambda: model, lam, group)

    def method_rows(self, name: str, group: Group) -> Optional[List[Row]]:
        """:meth:`network_rows` of a method of :data:`REFERENCES`."""
        return self.store.once(
            f"measured/{name}-{group.name}",
            {"method": name, "pairs": group.fingerprint},
            lambda: self._measure(METHOD_LABELS[name], REFERENCES[name], group),
        )

    def by_group(self, rows: Callable[[Group], Optional[List[Row]]], lam: float = LAMBDA) -> Dict[str, Row]:
        """Means of every group for which there are rows."""
        measured = {name: rows(group) for name, group in self.groups.items()}
        return {name: mean_row(found, lam) for name, found in measured.items() if found is not None}

    def _measure(self, label: str, fuse: Fuse, group: Group) -> List[Row]:
        return measure(fuse, group, lambda fraction: self.monitor.report(f"measuring {label}", fraction))

    # --- Trained ----------------------------------------------------------------------------------------

    def trained(self, name: str, label: str, recipe: TrainingOptions, extra=None) -> Optional[Row]:
        """Train a network, or go on with it; its weights stay in a folder of their own.

        :param name: relative path of the result.
        :param extra: what decides the result besides recipe and data.
        :return: ``folder`` and ``sha256`` of the weights and ``seconds``, or ``diverged_at``, the step from
            which on the loss was not finite; None when missing.
        """
        identity = {**recipe.identity(), "data": self.training_fingerprint, **(extra or {})}
        # A path is no part of what was trained; the checkpoint looks at it, this need not.
        identity["start-from"] = recipe.start_from is not None
        digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:8]
        return self.store.once(name, identity, lambda: self._train(f"{name}-{digest}", label, recipe))

    def load_trained(self, trained: Row):
        """The network of a result of :meth:`trained`."""
        return load_network("network", self.store.folder / trained["folder"])

    def _train(self, name: str, label: str, recipe: TrainingOptions) -> Row:
        folder, steps, clock = self.store.folder / name, [0], [0.0]

        def on_step(step: int, loss: float) -> None:
            steps[0] = step
            self.monitor.report(label, step / total)

        def on_row(rows) -> None:
            clock[0] = rows[-1]["seconds"]

        total = recipe.steps_for(len(self.training))
        callbacks = Callbacks(on_start=lambda first, _: steps.__setitem__(0, first), on_row=on_row)
        try:
            network = train(self.training, recipe, folder, callbacks=callbacks._replace(on_step=on_step))
        except Diverged:
            return {"diverged_at": steps[0] + 1}
        sha256 = save_network(network, "network", folder, recipe.lam)
        return {"folder": name, "sha256": sha256, "seconds": clock[0]}

    def budget_facts(self) -> Row:
        """The budget, and how many pairs of whom there are, for the record."""
        groups = {"training": Group("training", self.training), **self.groups}
        return {
            **asdict(self.budget),
            "pairs": {name: len(group.pairs) for name, group in groups.items()},
            "patients": {name: group.patients for name, group in groups.items()},
            "models": {model.name: model.sha256 for model in self.models},
        }


def start_weights(folder: Path, model: Model, lam: float) -> Path:
    """The model's network for one λ as a file to start from, in a folder of its own."""
    folder = folder / "start" / f"{model.sha256[:12]}-{lam:g}"
    if not (folder / "start.json").exists():
        save_network(model.at_lambda(lam), "start", folder, lam)
    return (folder / "start.pt").resolve()
