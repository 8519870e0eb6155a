"""What all sections of the panel share."""

from typing import Callable, Dict, List, NamedTuple, Optional, Set

import slicer
from slicer.i18n import tr as _

from ..color.sources import Range
from ..fusion.fuser import NETWORK, method_labels
from ..scene.attributes import attribute, number_of
from ..scene.live_colors import Look
from ..scene.outputs import find_results
from ..volumes.regions import range_at
from .choices import SAME
from .parameters import Parameters
from .run_state import RunState, RunStateMachine


class Seen(NamedTuple):
    """The choices from which something follows at once."""

    pair: tuple
    look: Look
    fuser: tuple
    legend: bool
    blend: float

    def changes(self, before: Optional["Seen"]) -> Set[str]:
        """The names of those that were others before, or not seen at all."""
        return {name for name in self._fields if getattr(before, name, None) != getattr(self, name)}


class Session:
    """The choices, the results of the chosen pair, and who may run.

    :param logic: the module's logic.
    :param status: the label that says what is going on.
    :param refresh: called without arguments when what can be pressed may have changed.
    :param on_other: likewise, when another panel, which works on the same choices, began or ended a run.
    """

    def __init__(self, logic, status, refresh: Callable[[], None], on_other: Callable[[], None]):
        self.logic, self.refresh, self._status = logic, refresh, status
        self.run = RunStateMachine(refresh, on_other)
        # The scene's parameter node; None while the scene is closed, and when the panel is gone.
        self.choices: Optional[Parameters] = None
        self.nodes: Dict[str, object] = {}
        self.seen: Optional[Seen] = None
        # What the last action came to, until something else is chosen; and how far the present one is.
        self.outcome = self.progress = ""
        # How many scenes were closed: what began in another one is over.
        self.scenes_closed = 0

    def say(self, outcome: str) -> None:
        """What an action came to. A run may outlive its panel by a moment, when the module is reloaded."""
        if self.choices is not None:
            self.outcome = outcome
            self.refresh()

    def show_status(self, sentences: List[str]) -> None:
        """The line below the button: of a run how far it is, else the outcome, and what there is to do.

        :param sentences: what there is to do or to know about the choices, by the sections; one is shown.
        """
        if self.run.state is RunState.IDLE:
            to_do = next(filter(None, sentences), "")
            self._status.text = " ".join(filter(None, [self.outcome, to_do]))
        else:
            self._status.text = self.progress if self.run.state is RunState.RUNNING else _("Stopping …")

    def look_again(self) -> Set[str]:
        """What was chosen anew since the last call."""
        chosen, before = self.choices, self.seen
        fuser = (chosen.method,)
        if self.uses_network:
            fuser += (chosen.model.value, round(chosen.lam, 6))
        self.seen = Seen((chosen.mri, chosen.pet), self._look(), fuser, chosen.legend, chosen.blend)
        return self.seen.changes(before)

    def use_results(self) -> None:
        """Work on the results of the chosen pair: an automatic range may come from them."""
        self.nodes = self.find_results()
        if self.seen is not None:
            self.seen = self.seen._replace(look=self._look())

    def _look(self) -> Look:
        chosen = self.choices
        return Look(
            chosen.omega,
            chosen.balance,
            chosen.mode.value,
            chosen.colormap,
            self.uptake_range,
            self.pet_colormap,
            chosen.referenceAt if chosen.automaticRange and self.uptake_range is not None else None,
            chosen.tracerInUse,
        )

    @property
    def pet_colormap(self) -> Optional[str]:
        """Of the PET itself; None for the same as the colors."""
        return None if self.choices.petColormap == SAME else self.choices.petColormap

    @property
    def uptake_range(self) -> Optional[Range]:
        """What the ends of the colors stand for; None for the range of the brain."""
        chosen, fused = self.choices, self.nodes.get("fused")
        if not chosen.automaticRange and chosen.rangeLow < chosen.rangeHigh:
            return chosen.rangeLow, chosen.rangeHigh
        mean = None if fused is None else number_of(fused, "ReferenceMean")
        if not chosen.automaticRange or not chosen.referenceAt or mean is None:
            return None
        return range_at(mean * (number_of(fused, "PETFactor") or 1.0), chosen.referenceAt)

    @property
    def uses_network(self) -> bool:
        """Whether the chosen method is the network."""
        return self.choices.method == NETWORK

    @property
    def method_of_results(self) -> str:
        """The method that made the results; there must be some."""
        return attribute(self.nodes["fused"], "Method") or NETWORK

    @property
    def ready(self) -> bool:
        """Whether there are results, and no run that may be changing them."""
        return bool(self.nodes) and self.run.free

    def find_results(self) -> Dict[str, object]:
        """The results that the scene now has of the chosen pair, by role."""
        mri, pet = self.choices.mri, self.choices.pet
        return find_results(mri, pet) if mri is not None and pet is not None else {}

    def results_are_there(self) -> bool:
        """Whether there are results, and nobody has removed one of them."""
        return bool(self.nodes) and all(slicer.mrmlScene.IsNodePresent(n) for n in self.nodes.values())

    def lacks_results(self) -> Optional[str]:
        """Why nothing can be done with the results, as a sentence; None when it can."""
        if not self.run.free:
            return _("Wait until the run is done, or cancel it.")
        return None if self.nodes else _("There are no results of this pair yet: press Apply.")

    def lacks_transform(self) -> Optional[str]:
        """Likewise, for what needs the transform of a registration."""
        registered = None if "transform" in self.nodes else _("The PET was not registered here.")
        return self.lacks_results() or registered


def label_of(method: str) -> str:
    """What people read for a method; the name itself of one that is not known."""
    return method_labels().get(method, method)
