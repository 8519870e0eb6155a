"""The module's panel. Nothing here imports torch, so that the panel opens at once.

`widget` has the class Panel. It makes the sections of the panel, and tells them what happens to the scene and
to the choices, which all live in the node of `parameters`. A `section` has its widgets, its state and its
timers; what all need, the results of the chosen pair above all, is in `session`.

- A choice changes: of another pair the results are looked for, and all sections work on them; in another look
  the shown slices are painted, and the volume when the slider rests; with another λ the volume is
  fused again in place.
- Results change from outside, or are removed: as another pair.
- A run begins: what is temporary ends, the choices are locked, and what is due meanwhile is put off. It ends:
  its results are used as another pair's, and what was put off is done.
- After each of these every section decides what can be pressed there, by the rule of `enabling`.
"""
