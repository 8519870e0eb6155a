"""The one rule for what cannot be pressed: it is gray, and its tool tip says why."""

from typing import Optional

import qt

# Where a widget keeps the tool tip of the form.
TIP = "tipWhenEnabled"

# Where and how Qt's combo boxes keep what can be done with an item: its flags, by number. The role is
# Qt.UserRole - 1, in digits: the command line reads this file where there is no Qt.
FLAGS_ROLE = 255
SELECTABLE_AND_ENABLED, NOTHING = 33, 0


def enable(widget, reason: Optional[str]) -> None:
    """Enabled, or disabled with the reason in its tool tip."""
    if widget.property(TIP) is None:
        widget.setProperty(TIP, widget.toolTip)
    widget.enabled = not reason
    widget.toolTip = reason or widget.property(TIP)


def enable_item(combo, index: int, reason: Optional[str]) -> None:
    """Likewise for a single item of a combo box; a disabled item can still be the current one."""
    combo.setItemData(index, NOTHING if reason else SELECTABLE_AND_ENABLED, FLAGS_ROLE)
    combo.setItemData(index, reason or "", qt.Qt.ToolTipRole)
