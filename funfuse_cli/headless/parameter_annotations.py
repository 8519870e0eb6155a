"""What may stand beside a type in `typing.Annotated`, for `slicer.parameterNodeWrapper`.

Defaults and checks of a parameter, and what a widget that shows it is to be like.
"""

import abc
import dataclasses
import typing


class Default:
    """Default value of a parameter; a generator, if given, is called for every use."""

    def __init__(self, value=None, *, generator=None):
        self._value = value
        self._generator = generator

    @property
    def value(self):
        """The default value."""
        return self._generator() if self._generator else self._value

    def __eq__(self, other):
        if not isinstance(other, Default):
            return False
        return (self._value, self._generator) == (other._value, other._generator)

    def __repr__(self):
        return f"Default(value={self._value!r}, generator={self._generator!r})"


class Validator(abc.ABC):
    """Base of the checks that run before a value is stored."""

    @abc.abstractmethod
    def validate(self, value):
        """Raise an exception, normally a ValueError, if the value is not acceptable."""


class NotNone(Validator):
    """Refuses None with a ValueError."""

    def validate(self, value):
        """Raise ValueError for None."""
        if value is None:
            raise ValueError("a value is needed, not None")


class IsNone(Validator):
    """Refuses all but None with a ValueError. Not part of Slicer's names."""

    def validate(self, value):
        """Raise ValueError unless the value is None."""
        if value is not None:
            raise ValueError(f"only None is possible, not {value!r}")


class IsInstance(Validator):
    """Refuses values of another type with a TypeError; None passes."""

    def __init__(self, classtype):
        self.classtype = classtype

    def validate(self, value):
        """Raise TypeError unless the value is None or an instance of the type."""
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"the type must be {self.classtype}, not {type(value)} ({value!r})")


class WithinRange(Validator):
    """Refuses values outside a range, ends included, with a ValueError."""

    def __init__(self, minimum, maximum):
        self.minimum = minimum
        self.maximum = maximum

    def validate(self, value):
        """Raise ValueError unless minimum <= value <= maximum, also for NaN."""
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value!r} is outside of {self.minimum} to {self.maximum}")


class Minimum(Validator):
    """Refuses values below a minimum with a ValueError."""

    def __init__(self, minimum):
        self.minimum = minimum

    def validate(self, value):
        """Raise ValueError if value < minimum."""
        if value < self.minimum:
            raise ValueError(f"{value!r} is below {self.minimum}")


class Maximum(Validator):
    """Refuses values above a maximum with a ValueError."""

    def __init__(self, maximum):
        self.maximum = maximum

    def validate(self, value):
        """Raise ValueError if value > maximum."""
        if value > self.maximum:
            raise ValueError(f"{value!r} is above {self.maximum}")


class Choice(Validator):
    """Refuses values that are not among the choices with a ValueError."""

    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        """Raise ValueError unless the value is one of the choices."""
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class Exclude(Validator):
    """Refuses the values listed with a ValueError."""

    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value):
        """Raise ValueError if the value is excluded."""
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is excluded")


@dataclasses.dataclass
class Decimals:
    """Annotation: number of decimals of a spin box or slider."""

    value: int


@dataclasses.dataclass
class SingleStep:
    """Annotation: step of a spin box or slider."""

    value: float


def split(annotated):
    """Return the bare type and the list of its annotations."""
    if typing.get_origin(annotated) is typing.Annotated:
        type_, *annotations = typing.get_args(annotated)
        return type_, annotations
    return annotated, []


def split_validators(annotations):
    """Return the annotations that are validators, and the others."""
    validators = [item for item in annotations if isinstance(item, Validator)]
    return validators, [item for item in annotations if not isinstance(item, Validator)]
