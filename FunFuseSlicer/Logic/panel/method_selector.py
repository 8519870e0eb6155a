"""The selector of the fusion method."""

from ..fusion.fuser import method_labels, method_problem
from .enabling import enable_item


class MethodSelector:
    """Offers the network and all other methods; those that cannot be used here are gray and say why.

    :param combo: an empty combo box.
    """

    def __init__(self, combo):
        self._combo, self._names = combo, []
        for name, label in method_labels().items():
            self._add(name, label[:1].upper() + label[1:])

    @property
    def name(self) -> str:
        """The name of the method that is chosen."""
        return self._names[self._combo.currentIndex]

    def show(self, name: str) -> None:
        """Choose a method; one that is not known, as of another version's scene, is added by its name."""
        if name not in self._names:
            self._add(name, name)
        if self._combo.currentIndex != self._names.index(name):
            self._combo.currentIndex = self._names.index(name)

    def update(self) -> None:
        """Look again what can be used."""
        for index, name in enumerate(self._names):
            enable_item(self._combo, index, method_problem(name))

    def _add(self, name: str, label: str) -> None:
        self._names.append(name)
        self._combo.addItem(label)
