"""QSettings in memory: a test must neither read nor change the settings of whoever runs it."""


class QSettings:
    """Settings kept in memory, shared by all instances, empty at start.

    Keys are text such as "Developer/DeveloperMode". Unlike Qt's, they are not written to a file.
    """

    _values = {}

    def __init__(self, *_):
        """Organization, application, format and file of Qt's constructors make no difference here."""

    def value(self, key, default=None):
        """Return the value stored under the key, or the default."""
        return self._values.get(key, default)

    def setValue(self, key, value):
        """Store a value under the key."""
        self._values[key] = value

    def contains(self, key):
        """Return whether the key has a value."""
        return key in self._values

    def remove(self, key):
        """Forget the key, and the keys below it when it is a group, as Qt does."""
        for known in [k for k in self._values if k == key or k.startswith(key + "/")]:
            del self._values[known]

    def allKeys(self):
        """Return the keys that have a value, sorted."""
        return sorted(self._values)

    def sync(self):
        """Do nothing: there is no file."""
