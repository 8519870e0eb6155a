"""From image files to a folder of results: reading, running, progress, and what is written."""
