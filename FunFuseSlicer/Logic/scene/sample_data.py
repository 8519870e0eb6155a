"""The entry "FunFuse" of Slicer's module Sample Data: an MRI and a PET template of the human brain."""

import os

CATEGORY, NAME = "FunFuse", "MRI and FDG-PET of a brain"

_NILEARN = "https://raw.githubusercontent.com/nilearn/nilearn/0.11.1/nilearn/datasets/data/"
_CN_PET = (
    "https://raw.githubusercontent.com/DlutMedimgGroup/Chinese-Brain-PET-Template/"
    "a65f5379cd121d577c51326d9434c329b0491650/Template/"
)

# ICBM152 2009a T1 average, skull-stripped, 1 mm (C) 1993-2009 Louis Collins, McConnell Brain Imaging
# Centre; and the FDG average of 116 healthy persons of the Chinese Brain PET Template, MIT license.
URIS = (
    _NILEARN + "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    _CN_PET + "CN_PET_TEMPLATE.nii",
)
FILE_NAMES = ("FunFuse-T1.nii.gz", "FunFuse-FDG.nii")
NODE_NAMES = ("T1 ICBM152", "FDG template")
CHECKSUMS = (
    "SHA256:421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
    "SHA256:1667f3e50b20d16cdbd3c7ae9c4ef36d2e37ec319b4ef8a0cb87f9d494dc6f53",
)


def register_sample_data(icons_folder: str) -> bool:
    """Offer the pair; nothing is downloaded before the user asks for it.

    :return: whether there is a module Sample Data.
    """
    try:
        import SampleData
    except ImportError:
        return False
    SampleData.SampleDataLogic.registerCustomSampleDataSource(
        category=CATEGORY,
        sampleName=NAME,
        uris=list(URIS),
        fileNames=list(FILE_NAMES),
        nodeNames=list(NODE_NAMES),
        checksums=list(CHECKSUMS),
        thumbnailFileName=os.path.join(icons_folder, "FunFuseSlicer.png"),
    )
    return True
