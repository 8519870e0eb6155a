"""The fusion: which method, with which model and λ, on which device."""

import slicer
from slicer.i18n import tr as _

from ..color.colorize import NEED_PARTS
from ..fusion.fuser import NETWORK
from ..scene.attributes import attribute
from .choices import Mode
from .enabling import enable
from .method_selector import MethodSelector
from .section import Section
from .session import label_of


class FusionSection(Section):
    """The method, and what only the network has."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._methods, self._method = MethodSelector(ui.methodComboBox), None
        ui.methodComboBox.connect("currentIndexChanged(int)", self.onMethodChanged)

    def options(self):
        """What is chosen, for fusion and color, as FusionOptions."""
        from ..fusion.pipeline import FusionOptions

        chosen = self.session.choices
        return FusionOptions(
            lam=chosen.lam,
            omega=chosen.omega,
            balance=chosen.balance,
            mode=chosen.mode.value,
            colormap=chosen.colormap,
            uptake_range=None if chosen.automaticRange else self.session.uptake_range,
            reference_at=(chosen.automaticRange and chosen.referenceAt) or None,
            pet_colormap=self.session.pet_colormap,
            tracer=chosen.tracerInUse,
            device=chosen.device.value,
            model=chosen.model.value,
            method=chosen.method,
        )

    def onMethodChanged(self, _index):
        """Another fusion method was chosen."""
        if self.session.choices is not None:
            self.session.choices.method = self._methods.name

    def forget_method(self) -> None:
        """The choices are those of another scene."""
        self._method = None

    def follow_method(self) -> None:
        """Colors that only the network gives make way for the uptake, and come back with the network."""
        if slicer.mrmlScene.IsImporting():
            return
        chosen, before = self.session.choices, self._method
        # First: what is changed here comes back here.
        self._method = chosen.method
        self._methods.show(chosen.method)
        if self.session.uses_network:
            # What was chosen meanwhile stays.
            if before not in (None, NETWORK) and chosen.mode is Mode.UPTAKE:
                chosen.mode = chosen.modeOfNetwork
        elif before == NETWORK or chosen.mode.value in NEED_PARTS:
            chosen.modeOfNetwork = chosen.mode
            if chosen.mode.value in NEED_PARTS:
                chosen.mode = Mode.UPTAKE

    def update(self) -> None:
        """Which methods can be used, and which device was."""
        self._methods.update()
        fixed = None
        if not self.session.uses_network:
            fixed = _("Only for FunFuse: {method} has no model or λ to choose, and runs on the CPU.")
            fixed = fixed.format(method=label_of(self.session.choices.method))
        for widget in (self.ui.modelComboBox, self.ui.lambdaSlider, self.ui.deviceComboBox):
            enable(widget, fixed)
        fused = self.session.nodes.get("fused")
        if fused is not None:
            self.ui.deviceLabel.text = _("In use: {device}").format(device=_used_device(fused))


def _used_device(node) -> str:
    device = attribute(node, "UsedDevice")
    if device == "cpu":
        return _("CPU")
    return _("GPU ({name})").format(name=device)
