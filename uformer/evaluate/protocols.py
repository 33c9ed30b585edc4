"""The evaluation protocols: how published numbers are computed, one value per protocol.

A protocol follows the evaluation code that the authors of Uformer published, or else that of the papers that
they compare with.
"""

import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from uformer.errors import OptionError
from uformer.metrics import Window

Kind = Literal["noise", "pairs", "sidd", "sidd-benchmark", "dnd"]


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """How images are compared. `luma` to `ssim_range` are arguments of `uformer.metrics`."""

    gray: bool = False
    """Whether the clean image is converted to gray before it is degraded."""
    luma: bool = False
    luma_rounded: bool = False
    rounded: bool = True
    border: int = 0
    ssim_window: Window = "gaussian"
    ssim_range: float = 1.0
    aligned: bool = False
    """Whether the restored image is first warped onto the clean one (see align.py)."""
    own_depth: bool = False  # whether to compare in the depth and range of the files, not in 8 bits

    def describe(self, channels: int = 3) -> str:
        """Return a short description for a row of the table.

        `channels`: number of channels of the network; images are read as RGB for 1 and 3.
        """
        full = "gray" if self.gray else "RGB" if channels in (1, 3) else f"{channels} channels"
        colour = ("Y rounded to 8 bits" if self.luma_rounded else "Y") if self.luma else full
        levels = "the depth of its file" if self.own_depth else "8 bits"
        rounding = f"restored rounded to {levels}" if self.rounded else "restored not rounded"
        border = f"border of {self.border} left out" if self.border else "no border"
        return ", ".join([colour, rounding, border, *(["aligned"] if self.aligned else [])])

    def describe_ssim(self) -> str:
        """Return a description of the SSIM."""
        windows = {
            "gaussian": "Gaussian window 11 x 11 inside the image, mean over the channels",
            "uniform": "uniform window 7 x 7 inside the image, unbiased, mean over the channels",
            "matlab": "Gaussian window 11 x 11 x 11 over height, width and channels "
            "(MATLAB's ssim of an RGB array)",
        }
        return f"{windows[self.ssim_window]}, L = {self.ssim_range:g}"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where a dataset keeps its pairs. Folders are relative to the dataset's; `*` matches one folder name."""

    degraded: str
    clean: str
    differ: str = ""
    """Regular expression of the parts of both names that are ignored when they are compared."""
    by_order: bool = False
    """Whether images are paired by position in the sorted lists and not by name."""
    deep: bool = False
    """Whether subfolders count, as they do for `uformer train`."""
    listing: str = ""
    """A file that names the pairs, two paths per line; the fields then name the folders of the two files."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published result: PSNR in dB, and SSIM if it was computed as in the protocol."""

    method: str
    psnr: float
    source: str
    ssim: float | None = None
    subset: str = ""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Everything that determines a score except the network and the images."""

    name: str
    summary: str
    kind: Kind = "pairs"
    task: str | None = None
    """The task that selects the default weights."""
    scoring: Scoring = Scoring()
    layouts: tuple[Layout, ...] = ()
    sigmas: tuple[float, ...] = ()
    """Gaussian noise levels on the 0-255 scale, one row of the table each."""
    noise_rounded: bool = True
    """Whether the noisy image is clipped and rounded to 8 bits, as in an image file."""
    dataset: str = ""
    """The dataset of the published numbers."""
    count: int = 0
    """Number of images in the dataset; 0 if any number is allowed."""
    url: str = ""
    """Where the owners of the dataset offer it."""
    place: str = ""
    """The files and folders that the dataset's folder must hold."""
    any_channels: bool = False
    """Whether images that are neither gray nor RGB can be measured."""
    shape: tuple[int, int, int] | None = None
    """Size of a complete submission: images, crops per image, and the side of a crop in pixels."""
    submit_at: str = ""
    """Where to submit, if that is not `url`."""
    published: tuple[Published, ...] = ()
    differs: str = ""
    """How this implementation differs from that of the published numbers."""

    @property
    def scored(self) -> bool:
        """Whether the ground truth is public. If not, files for the benchmark's server are written."""
        return self.kind in ("noise", "pairs", "sidd")

    def how_to_get(self) -> str:
        """Return which files are expected and where to get them, as the end of an error message."""
        origin = f". {self.dataset} cannot ship with this package; get it from {self.url}" if self.url else ""
        return f"expected {self.place}{origin}"


_PLAIN = (
    Layout(degraded="degraded", clean="clean", deep=True),
    Layout(degraded="input", clean="target", deep=True),
)
_PLAIN_PLACE = "or input/ and target/, or degraded/ and clean/, with matching names"
_UFORMER = "Wang et al., CVPR 2022"
_PADDING = "the authors pad with zeros to a square multiple of 128, and restore whole images without tiles"
_UNPADDED = (
    "the authors restore crops without padding, as whole windows fit; here they are padded by reflection"
)
_RAIN = "Zamir et al., CVPR 2022"
_Y = Scoring(luma=True, luma_rounded=True)
_RAIN_LAYOUTS = (
    Layout(degraded="rainy", clean=".", differ=r"^(no)?rain-"),
    Layout(degraded="rain", clean="norain", differ=r"^(no)?rain-|x2$"),
    Layout(degraded="rain/X2", clean="norain", differ=r"^(no)?rain-|x2$"),
    *_PLAIN,
)
_RAIN_PLACE = (
    "rainy/rain-001.png and norain-001.png beside that folder, or rain/ and norain/, " + _PLAIN_PLACE
)
_RAIN_URL = "https://www.icst.pku.edu.cn/struct/Projects/joint_rain_removal.html"


def _by_sigma(method: str, source: str, *psnrs: float) -> tuple[Published, ...]:
    sigmas = ("sigma 15", "sigma 25", "sigma 50")
    return tuple(
        Published(method=method, psnr=psnr, source=source, subset=sigma)
        for sigma, psnr in zip(sigmas, psnrs, strict=True)
    )


_CBSD68 = (
    *_by_sigma("CBM3D", "Zhang et al., TIP 2018", 33.52, 30.71, 27.38),
    *_by_sigma("CDnCNN", "Zhang et al., TIP 2018", 33.89, 31.23, 27.92),
    *_by_sigma("FFDNet", "Zhang et al., TIP 2018", 33.87, 31.21, 27.96),
    *_by_sigma("DRUNet", "Zhang et al., TPAMI 2021", 34.30, 31.69, 28.51),
    *_by_sigma("SwinIR", "Liang et al., ICCVW 2021", 34.42, 31.78, 28.56),
    *_by_sigma("Restormer", _RAIN, 34.40, 31.79, 28.60),
)
_BSD68 = (
    *_by_sigma("BM3D", "Zhang et al., TIP 2017", 31.07, 28.57, 25.62),
    *_by_sigma("DnCNN", "Zhang et al., TIP 2017", 31.73, 29.23, 26.23),
    *_by_sigma("FFDNet", "Zhang et al., TIP 2018", 31.63, 29.19, 26.29),
    *_by_sigma("DRUNet", "Zhang et al., TPAMI 2021", 31.91, 29.48, 26.59),
    *_by_sigma("SwinIR", "Liang et al., ICCVW 2021", 31.97, 29.50, 26.58),
)
_KNOWN_SIGMA = (
    "CBM3D, FFDNet and DRUNet are given sigma, and SwinIR and Restormer have one network per sigma; "
    "published tables use other noise samples"
)
_GAUSSIAN_PLACE = "clean images, such as those of CBSD68"
_BSDS = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/bsds/"


def _realblur(letter: str, folder: str, psnr: float) -> Protocol:
    return Protocol(
        name=f"realblur-{letter.lower()}",
        summary=f"RealBlur-{letter}: real camera shake, scored after alignment (Rim et al., ECCV 2020)",
        task="deblur",
        scoring=Scoring(aligned=True),
        layouts=(
            Layout(degraded="blur", clean="gt", listing=f"RealBlur_{letter}_test_list.txt"),
            Layout(degraded="*/blur", clean="*/gt", differ="^(blur|gt)_"),
            *_PLAIN,
        ),
        dataset=f"RealBlur-{letter}",
        count=980,
        url="https://github.com/rimchang/RealBlur",
        place=f"RealBlur_{letter}_test_list.txt beside {folder}/, or scenes SCENE/blur/ and SCENE/gt/, "
        f"{_PLAIN_PLACE}",
        published=(Published(method="Uformer-B, trained on GoPro", psnr=psnr, source=_UFORMER),),
        differs=_PADDING,
    )


_ALL = (
    Protocol(
        name="gaussian",
        summary="colour Gaussian noise of sigma 15, 25 and 50 on clean images, clipped and rounded to 8 bits",
        kind="noise",
        task="denoise",
        sigmas=(15, 25, 50),
        dataset="CBSD68",
        count=68,
        url=_BSDS,
        place=_GAUSSIAN_PLACE,
        published=_CBSD68,
        differs=f"{_KNOWN_SIGMA} and neither clip nor round them (see gaussian-float)",
    ),
    Protocol(
        name="gaussian-float",
        summary="the same noise, neither clipped nor rounded, as in published tables",
        kind="noise",
        task="denoise",
        sigmas=(15, 25, 50),
        noise_rounded=False,
        dataset="CBSD68",
        count=68,
        url=_BSDS,
        place=_GAUSSIAN_PLACE,
        published=_CBSD68,
        differs=_KNOWN_SIGMA,
    ),
    Protocol(
        name="gaussian-gray",
        summary="Gaussian noise of sigma 15, 25 and 50 on gray images, neither clipped nor rounded; "
        "colour images are converted to gray",
        kind="noise",
        task="denoise",
        sigmas=(15, 25, 50),
        scoring=Scoring(gray=True),
        noise_rounded=False,
        dataset="BSD68",
        count=68,
        url=_BSDS,
        place=_GAUSSIAN_PLACE,
        published=_BSD68,
        differs="BM3D, DnCNN, FFDNet and DRUNet are given sigma, and SwinIR has one network per sigma; "
        "published tables use other noise samples",
    ),
    Protocol(
        name="pairs",
        summary="any two folders with matching names, in RGB or in the channels of the network",
        scoring=Scoring(own_depth=True),
        layouts=_PLAIN,
        any_channels=True,
        place="degraded/ and clean/, or input/ and target/, with matching names (or give the two folders)",
    ),
    Protocol(
        name="sidd",
        summary="SIDD's validation blocks: 1,280 crops of 256 x 256 with phone noise "
        "(Abdelhamed et al., CVPR 2018)",
        kind="sidd",
        task="denoise",
        scoring=Scoring(rounded=False, ssim_window="matlab"),
        dataset="SIDD",
        count=1280,
        url="https://abdokamel.github.io/sidd/",
        place="ValidationNoisyBlocksSrgb.mat and ValidationGtBlocksSrgb.mat",
        published=(Published(method="Uformer-B", psnr=39.89, ssim=0.960, source=_UFORMER),),
        differs=_UNPADDED,
    ),
    Protocol(
        name="sidd-benchmark",
        summary="SIDD's benchmark blocks, no public ground truth: writes SubmitSrgb.csv and .mat to submit",
        kind="sidd-benchmark",
        task="denoise",
        dataset="SIDD's benchmark",
        count=1280,
        url="https://abdokamel.github.io/sidd/",
        place="BenchmarkNoisyBlocksSrgb.mat",
        shape=(40, 32, 256),
        submit_at="https://www.kaggle.com/competitions/sidd-benchmark-srgb-psnr",
        differs=_UNPADDED,
    ),
    Protocol(
        name="dnd",
        summary="DND: 1,000 crops with real noise, no public ground truth: writes the 50 files to submit "
        "(Ploetz & Roth, CVPR 2017)",
        kind="dnd",
        task="denoise",
        dataset="DND",
        count=1000,
        url="https://noise.visinf.tu-darmstadt.de/",
        place="info.mat and images_srgb/0001.mat to 0050.mat",
        shape=(50, 20, 512),
        published=(Published(method="Uformer-B", psnr=40.04, ssim=0.956, source=_UFORMER),),
        differs=_UNPADDED,
    ),
    Protocol(
        name="gopro",
        summary="GoPro's test set: motion blur from averaged frames (Nah et al., CVPR 2017)",
        task="deblur",
        scoring=Scoring(rounded=False, ssim_window="uniform", ssim_range=2.0),
        layouts=(
            Layout(degraded="test/*/blur", clean="test/*/sharp"),
            Layout(degraded="*/blur", clean="*/sharp"),
            *_PLAIN,
        ),
        dataset="GoPro's test set",
        count=1111,
        url="https://seungjunnah.github.io/Datasets/gopro",
        place=f"test/SCENE/blur/ and test/SCENE/sharp/ of GOPRO_Large, {_PLAIN_PLACE}",
        published=(Published(method="Uformer-B", psnr=33.06, ssim=0.967, source=_UFORMER),),
        differs=_PADDING,
    ),
    Protocol(
        name="hide",
        summary="HIDE's test set: motion blur of people (Shen et al., ICCV 2019)",
        task="deblur",
        scoring=Scoring(rounded=False, ssim_window="uniform", ssim_range=2.0),
        layouts=(Layout(degraded="test/*", clean="GT"), *_PLAIN),
        dataset="HIDE's test set",
        count=2025,
        url="https://github.com/joanshen0508/HA_deblur",
        place=f"test/test-close-ups/, test/test-long-shot/ and GT/ of HIDE_dataset, {_PLAIN_PLACE}",
        published=(Published(method="Uformer-B, trained on GoPro", psnr=30.90, ssim=0.953, source=_UFORMER),),
        differs=_PADDING,
    ),
    _realblur("R", "RealBlur-R_BM3D_ECC_IMCORR_centroid_itensity_ref", 36.19),
    _realblur("J", "RealBlur-J_ECC_IMCORR_centroid_itensity_ref", 29.09),
    Protocol(
        name="dpdd",
        summary="DPDD's test set: defocus blur, from the combined image only (Abuolaim & Brown, ECCV 2020)",
        task="deblur",
        scoring=Scoring(rounded=False, ssim_window="uniform"),
        layouts=(Layout(degraded="test_c/source", clean="test_c/target", by_order=True), *_PLAIN),
        dataset="DPDD's test set",
        count=76,
        url="https://github.com/Abdullah-Abuolaim/defocus-deblurring-dual-pixel",
        place=f"test_c/source/ and test_c/target/ of dd_dp_dataset_canon, {_PLAIN_PLACE}",
        published=(Published(method="Uformer-B, from both dual-pixel views", psnr=26.28, source=_UFORMER),),
        differs="the published network uses both dual-pixel views (six channels); here one image is restored",
    ),
    Protocol(
        name="rain",
        summary="any folders of rainy and clean images, on Y: Test100, Test1200, Test2800, Rain12, your own",
        task="derain",
        scoring=_Y,
        layouts=_RAIN_LAYOUTS,
        place=_RAIN_PLACE,
    ),
    Protocol(
        name="rain100l",
        summary="Rain100L: light synthetic rain, on Y (Yang et al., CVPR 2017)",
        task="derain",
        scoring=_Y,
        layouts=_RAIN_LAYOUTS,
        dataset="Rain100L",
        count=100,
        url=_RAIN_URL,
        place=_RAIN_PLACE,
        published=(
            Published(method="PReNet, trained on Rain100L", psnr=37.48, source="Ren et al., CVPR 2019"),
            Published(method="MPRNet, trained on Rain13K", psnr=36.40, source="Zamir et al., CVPR 2021"),
            Published(method="Restormer, trained on Rain13K", psnr=38.99, source=_RAIN),
        ),
    ),
    Protocol(
        name="rain100h",
        summary="Rain100H: heavy synthetic rain, on Y (Yang et al., CVPR 2017)",
        task="derain",
        scoring=_Y,
        layouts=_RAIN_LAYOUTS,
        dataset="Rain100H",
        count=100,
        url=_RAIN_URL,
        place=_RAIN_PLACE,
    ),
    Protocol(
        name="spad",
        summary="SPA-Data's test set: real rain, on Y (Wang et al., CVPR 2019)",
        task="derain",
        scoring=_Y,
        layouts=(Layout(degraded="rain", clean="gt", differ="gt$"), *_PLAIN),
        dataset="SPA-Data's test set",
        count=1000,
        url="https://stevewongv.github.io/derain-project.html",
        place=f"rain/ and gt/ of real_test_1000, {_PLAIN_PLACE}",
        published=(Published(method="Uformer-B", psnr=47.84, ssim=0.9925, source=_UFORMER),),
        differs=_PADDING,
    ),
)

PROTOCOLS: Mapping[str, Protocol] = types.MappingProxyType({protocol.name: protocol for protocol in _ALL})


def find(name: str) -> Protocol:
    """Return a protocol by name. Raises OptionError, which lists the known names, if it is unknown."""
    if name not in PROTOCOLS:
        raise OptionError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
