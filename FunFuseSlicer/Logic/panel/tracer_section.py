"""The tracer, by whose preset the pictures look, and the reference region of its scale and of SUVR."""

import json
from typing import Dict, List, Optional

import slicer
from slicer.i18n import tr as _

from ..color.colorize import NEED_PARTS
from ..scene.attributes import attribute, name_of
from ..scene.pet_headers import tracer_of_node
from ..scene.regions import add_ball, part_or_first, parts_of, region_of_node
from ..volumes.regions import Regions
from ..volumes.tracers import OTHER, known_preset, preset, presets, research_note
from .choices import AUTO, SAME, Mode, Unit
from .enabling import enable
from .section import Section

# What a preset sets, and the user can change at any time.
LOOK = (
    "colormap",
    "petColormap",
    "mode",
    "balance",
    "automaticRange",
    "rangeLow",
    "rangeHigh",
    "referenceAt",
)


class TracerSection(Section):
    """Sets the look of another tracer once; choosing the tracer of before brings its look back."""

    def __init__(self, ui, session):
        super().__init__(ui, session)
        self._names: List[str] = [AUTO, *presets()]
        self._parts: Dict[str, str] = {}
        # The region is not what the results measured.
        self._moved = False
        self.forget()
        for name in self._names:
            ui.tracerComboBox.addItem(_("Automatic") if name == AUTO else presets()[name].label)
        ui.tracerComboBox.connect("currentIndexChanged(int)", self.onTracerChanged)
        ui.referencePartComboBox.connect("currentIndexChanged(int)", self.onPartChanged)
        ui.ballButton.connect("clicked(bool)", self.onBallButton)

    def forget(self) -> None:
        """The choices are those of another scene."""
        self._found = self._found_in = self._unit_before = self._parts_of = self._watched = None
        self.removeObservers(self._on_moved)

    def region(self) -> Optional[Regions]:
        """The reference region that is chosen.

        :raises InputError: there is nothing in it.
        """
        chosen = self.session.choices
        if chosen.reference is None:
            return None
        return region_of_node(chosen.reference, chosen.referencePart, chosen.mri, chosen.pet)

    # The tracer

    def follow(self) -> None:
        """Another tracer was chosen, or another PET: its look, once."""
        if slicer.mrmlScene.IsImporting():
            return
        chosen, unit = self.session.choices, self._unit_before
        self._watch(chosen.reference)
        self._unit_before = chosen.unit
        if unit not in (None, chosen.unit) and not chosen.automaticRange:
            chosen.automaticRange = True  # the numbers were of the other unit
        name = self._tracer_of_pet() if chosen.tracer == AUTO else chosen.tracer
        if name == chosen.tracerInUse or name not in presets():
            return
        before = json.loads(chosen.lookBefore or "{}")
        with slicer.util.NodeModify(chosen.parameterNode):
            chosen.lookBefore = json.dumps({"tracer": chosen.tracerInUse, "look": self._look()})
            # First: what is changed here comes back here.
            chosen.tracerInUse = name
            self._use(before["look"] if before.get("tracer") == name else self._look_of(name))

    def _tracer_of_pet(self) -> str:
        """By the header of the chosen PET, which is read once."""
        pet = self.session.choices.pet
        if self._found_in != (pet and pet.GetID()):
            self._found = "" if pet is None else tracer_of_node(pet)
            self._found_in = pet and pet.GetID()
        # Without a PET nothing changes yet.
        return (self._found or OTHER) if pet is not None else self.session.choices.tracerInUse

    def _look(self) -> dict:
        values = {name: getattr(self.session.choices, name) for name in LOOK}
        return {**values, "mode": values["mode"].value}

    def _look_of(self, name: str) -> dict:
        look, low_high = preset(name).look(self._unit()), (0.0, 1.0)
        return {
            "colormap": look["colormap"],
            "petColormap": look["pet_colormap"] or SAME,
            "mode": look["mode"],
            "balance": look["balance"],
            "automaticRange": look["uptake_range"] is None,
            "rangeLow": (look["uptake_range"] or low_high)[0],
            "rangeHigh": (look["uptake_range"] or low_high)[1],
            "referenceAt": look["reference_at"] or 0.0,
        }

    def _use(self, look: dict) -> None:
        chosen, mode = self.session.choices, Mode(look["mode"])
        if not self.session.uses_network and mode.value in NEED_PARTS:
            chosen.modeOfNetwork, mode = mode, Mode.UPTAKE
        for name, value in {**look, "mode": mode}.items():
            setattr(chosen, name, value)

    def _unit(self) -> str:
        fused = self.session.nodes.get("fused")
        return self.session.choices.unit.value or ("" if fused is None else attribute(fused, "PETUnit"))

    def onTracerChanged(self, index):
        """Another tracer was chosen."""
        if self.session.choices is not None and index >= 0:
            self.session.choices.tracer = self._names[index]

    # The reference region

    def use_results(self) -> None:
        """They were made with the region as it is, or it has another name."""
        self._moved = False

    def _watch(self, region) -> None:
        """A ball that is moved or sized, a segment or mask that is drawn, is another region."""
        if region is self._watched:
            return
        self.removeObservers(self._on_moved)
        self._watched = region
        if region is not None:
            # Those of segments and voxels are no ModifiedEvent.
            contents = region.GetContentModifiedEvents()
            events = {contents.GetValue(index) for index in range(contents.GetNumberOfValues())}
            for event in events | {region.TransformModifiedEvent}:
                self.addObserver(region, event, self._on_moved)

    def _on_moved(self, caller=None, _event=None):
        chosen = self.session.choices
        if chosen is None or caller is not chosen.reference:
            return
        # Once: a drag brings many of these. Segments come and go.
        if not self._moved or caller.IsA("vtkMRMLSegmentationNode"):
            self._moved = True
            self.session.refresh()

    def onPartChanged(self, index):
        """Another segment or label."""
        if self.session.choices is not None and 0 <= index < len(self._parts):
            self.session.choices.referencePart = list(self._parts)[index]

    def onBallButton(self, _checked=False):
        """A ball where the user is, to be moved by its handles."""
        if self.session.choices.mri is not None:
            self.session.choices.reference = add_ball(self.session.choices.mri)

    # What is shown

    def update(self) -> None:
        """What is known of the tracer, and what can be chosen of the region."""
        ui, chosen = self.ui, self.session.choices
        known = known_preset(self._tracer_of_pet())
        ui.tracerComboBox.setItemText(0, _("Automatic: {tracer}").format(tracer=known.label))
        if chosen.tracer not in self._names:  # of another version's scene
            self._names.append(chosen.tracer)
            ui.tracerComboBox.addItem(chosen.tracer)
        if ui.tracerComboBox.currentIndex != self._names.index(chosen.tracer):
            ui.tracerComboBox.currentIndex = self._names.index(chosen.tracer)
        used = known_preset(chosen.tracerInUse)
        # Also where the section is folded.
        how = _("Tracer: {tracer}, automatic") if chosen.tracer == AUTO else _("Tracer: {tracer}")
        ui.tracerCollapsibleButton.text = how.format(tracer=used.label)
        ui.tracerComboBox.toolTip = f"{used.source} {research_note()}"
        self._show_parts()
        enable(ui.ballButton, None if chosen.mri is not None else _("Choose the MRI first."))

    def _show_parts(self) -> None:
        node, combo = self.session.choices.reference, self.ui.referencePartComboBox
        image = None if node is None or not node.IsA("vtkMRMLVolumeNode") else node.GetImageData()
        parts_of_which = node and node.GetID(), image and image.GetMTime()
        # Looking for the labels of a volume takes a moment.
        parts = self._parts if parts_of_which == self._parts_of and image is not None else parts_of(node)
        if parts_of_which != self._parts_of or parts != self._parts:
            # Filled without telling: the first item would be taken for a choice.
            self._parts_of, self._parts = parts_of_which, {}
            combo.clear()
            for name in parts.values():
                combo.addItem(name)
            self._parts = parts
        if parts:
            combo.currentIndex = list(parts).index(self._part())
        combo.setVisible(bool(parts))

    def _part(self) -> str:
        return part_or_first(self._parts, self.session.choices.referencePart)

    def advice(self) -> str:
        """What the scale of the tracer needs, or what the results do not have yet."""
        chosen, fused = self.session.choices, self.session.nodes.get("fused")
        used = known_preset(chosen.tracerInUse)
        scaled = chosen.referenceAt and chosen.automaticRange and chosen.mode is not Mode.GRADIENT
        if scaled and chosen.reference is None:
            said = _("{tracer}: choose the {region} as reference region, which sets the scale.")
            return said.format(tracer=used.label, region=used.reference)
        if fused is None:
            return ""
        unit = attribute(fused, "PETUnit")
        if chosen.unit is not Unit.STORED and unit != chosen.unit.value:
            return _("Press Apply for {unit}.").format(unit=chosen.unit.value)
        if chosen.unit is Unit.STORED and float(attribute(fused, "PETFactor") or 1.0) != 1.0:
            return _("Press Apply for the PET's own unit.")
        region = self._parts.get(self._part(), name_of(chosen.reference))
        if region and (self._moved or attribute(fused, "ReferenceName") != region):
            return _("Press Apply for the reference region {region}.").format(region=region)
        return ""
