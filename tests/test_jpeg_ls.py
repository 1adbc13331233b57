"""JPEG-LS, as an independent encoder (CharLS) writes it, comes back to the bit."""

import base64
from pathlib import Path

import numpy as np
import pytest

from cmsr.config import Config
from cmsr.errors import InputError
from cmsr.io import inputs
from cmsr.thermal import jpeg_ls
from tests.fake_cameras import SCENE, container
from tests.test_planck import SENSOR, observed

Y, X = np.mgrid[:12, :16]
IMAGES = {
    "scene": 14_000 + 3 * X + 7 * Y + (5 * X * Y) % 11,
    "blocks": 9_000 * ((X // 5 + Y // 4) % 3),
    "extremes": 65_535 * ((X * X + 3 * Y) % 7 // 5),
}
ENCODED = {
    "scene": (
        "|JeWc01FTR3;+-T0TBTI_y7$7|Nj6I07C&306_oR00;pA000000000AzX4zz0|3BaFc=IB3=9km3=9r}"
        "5IPBip)kl?GA=SMGAb?zL`gt66#!sF0|P)XBnAZ`0f9g$(PB@5QK!a@J~a5TC%~x`AP^|9N(itpC>Sab"
        "Fc1uAvPq1PNsN+XERsR9T|5LJo_I;g;9xGE3?Z5U0$@}k1Hup@2?N34_zV^ZhMLN3rUlArq6`I;*$XsS"
        "2yiX}TnT`e0p(%Bg9Oc0byuzHc!djF)IFiXg90E%g%T%WM*<ie|Je"
    ),
    "blocks": (
        "|JeWc01FTR3;+-T0TBTI_y7$7|Nj6I07C&306_oR00;pA00000^Z)^q-~<5xKmY&$0000{lb{L!pb7wh"
        "00004qT~R`0}utkDgjUnfK&xQ1j+CKfCK;_0009hKm-6l1OOILzytt51OSYm01FTm0Z<nKP!$1iDg{6Z"
        "li&gXAOZjuPQU~JKm-99E&w0`06-CypaNnAK&Tf2pi~QiP$~fb*#"
    ),
    "extremes": (
        "|JeWc01FTR3;+-T0TBTI_y7$7|Nj6I07C&306_oR00;pA00000|6Blo5DY*F0s)8u0{|ct0Dueu0e~PB"
        "0RS)v3;}=$1O<RVPzC^iK+q5r0f0cD5C#DNKrko>1Oov8fMB2?AfOOXGz1g`0tyCzf`EYm0f1pZKw&|E"
        "z+pf@VL?DZATS6D0s;d80f2y@ARsUhE<iwoun-{R1Q-Mg0s{dC0tEpAK!XDT0u2HR1_A^c1QZMiP#|DH"
        "K*E6n1_T5QC=dYu*#"
    ),
}


def encoded(name: str) -> bytes:
    return base64.b85decode(ENCODED[name])


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_comes_back(name: str) -> None:
    assert np.array_equal(jpeg_ls.decode(encoded(name), (12, 16)), IMAGES[name])


@pytest.mark.parametrize("name", IMAGES)
def test_what_is_cut_off_or_of_another_size_is_refused(name: str) -> None:
    content = encoded(name)
    for length in range(2, len(content) - 4, 3):
        with pytest.raises(ValueError, match="JPEG-LS"):
            jpeg_ls.decode(content[:length], (12, 16))
    with pytest.raises(ValueError, match="16 × 12 pixels"):
        jpeg_ls.decode(content, (16, 12))


def test_frames_of_a_compressed_recording_are_read(tmp_path: Path) -> None:
    counts = np.rint(observed(20 + 0.2 * (X + Y), SENSOR, SCENE)).astype(np.uint16)
    frame = container(IMAGES["scene"], raw=encoded("scene"))
    path = tmp_path / "a.csq"
    path.write_bytes(frame + container(counts, raw="little"))
    first, _, _ = inputs.read_pair(f"{path}:1", None, Config(ratio=2))
    path.write_bytes(container(IMAGES["scene"], raw="little"))
    plain, _, _ = inputs.read_pair(path, None, Config(ratio=2))
    assert np.array_equal(first.data, plain.data)
    path.write_bytes(container(IMAGES["scene"], raw=encoded("scene")[:60]))
    with pytest.raises(InputError, match=r"a\.csq: its raw thermal image is broken"):
        inputs.read_pair(path, None, Config(ratio=2))
