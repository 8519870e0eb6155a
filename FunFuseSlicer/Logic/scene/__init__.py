"""All that touches Slicer's scene: volumes in, results out, views, tables, export, sample data, BRAINS."""
