"""Make uformer/degradations/tables.npz, the measured tables of the degradations, from the original files.

    python training/make_tables.py FOLDER

FOLDER holds 201_CRF_data.mat (201 measured camera response curves of Grossberg & Nayar's database, as
collected for CBDNet) and Levin09.mat (eight motion kernels measured by Levin et al., CVPR 2009). Needs scipy
and h5py.
"""

import sys
from pathlib import Path

import h5py
import numpy as np
import scipy.io

NODES = np.linspace(0, 1, 65) ** 2  # curves are steep near black
KERNEL = 27


def main() -> None:
    folder = Path(sys.argv[1])
    curves = scipy.io.loadmat(folder / "201_CRF_data.mat")
    responses = np.array(
        [np.interp(NODES, light, level) for light, level in zip(curves["I"], curves["B"], strict=True)]
    )
    kernels = []
    with h5py.File(folder / "Levin09.mat") as file:
        for reference in np.array(file["kernels"]).ravel():
            kernel = np.array(file[reference]).T  # MATLAB stores columns first
            pad = [((KERNEL - side) // 2,) * 2 for side in kernel.shape]
            kernels.append(np.pad(kernel, pad) / kernel.sum())
    np.savez_compressed(
        Path(__file__).parents[1] / "uformer/degradations/tables.npz",
        responses=np.rint(responses * 65535).astype(np.uint16),
        levin=np.array(kernels).astype(np.float32),
    )


if __name__ == "__main__":
    main()
