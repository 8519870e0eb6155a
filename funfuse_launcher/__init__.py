"""Makes the virtual environment that FunFuse runs in, and hands over to ``python -m funfuse_cli`` inside it.

Standard library only, since nothing else is there yet; of the rest only the table of commands and the version
are imported.

- `start`: what the user typed, and the hand-over.
- `parts`: what is installed together, which command needs what, how large it is.
- `environment`: the folder of the virtual environment: made, completed, repaired, kept safe.
- `packages`: what is in it, and whether it is whole.
- `pip`: installs the packages of a list, and explains what went wrong.
- `terminal`: what the user sees, and processes whose output goes to the log.
- `lock`: one launcher at a time.
"""
