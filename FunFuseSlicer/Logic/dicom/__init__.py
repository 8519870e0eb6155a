"""Results as DICOM: objects of the MRI's study, for workstations and archives.

Written with pydicom alone, which every Slicer of 5.8 to 5.12 brings (2.4 and 3.0); highdicom comes with 5.12
only.
"""
