"""One reader for all that users have on disk: it tells what it corrected, doubted or left out.

:mod:`reader` chooses by the content of a file; :mod:`nifti`, :mod:`dicom` and :mod:`itk` each give a
:class:`source.Source`, and everything after that is the same for all.
"""
