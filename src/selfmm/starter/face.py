"""The starter's score of a face: smile minus lowered brows, by a rule without training.

The muscle that draws the corners of the mouth up (zygomaticus major, action unit 12) is the more active the more
pleasant, and the one that lowers the brows (corrugator supercilii, action unit 4) the more unpleasant people find what
they see (`Lang et al. 1993 <https://doi.org/10.1111/j.1469-8986.1993.tb03352.x>`_; `Larsen, Norris and Cacioppo 2003
<https://doi.org/10.1111/1469-8986.00078>`_). How strongly a face tells what somebody feels differs between people and
situations, and is weak on average (`Barrett et al. 2019 <https://doi.org/10.1177/1529100619832930>`_), so the stated
reliability is small. The units are from Ekman and Friesen, Facial Action Coding System, 1978.

MediaPipe's blendshapes ``mouthSmile`` and ``browDown`` stand for the units, each the mean of left and right, 0 to 1.
``expression`` is their difference, averaged over the pictures of a clip with a face. The score is the best linear
prediction of a label with deviation ``LABELS`` from an expression with deviation ``EXPRESSIONS``, if their correlation
is ``RELIABILITY``::

    score = RELIABILITY * LABELS / EXPRESSIONS * (expression - REST)
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from selfmm.features.face.landmarks import COLUMNS
from selfmm.models.adapt import STATISTICS

RELIABILITY = 0.3
"""Assumed correlation of expression and label. On acted clips it is .71; spontaneous faces say less."""
LABELS = 1.5
"""Standard deviation of labels from -3 to 3: half of their largest distance from neutral."""
REST = 0.1
"""The expression of a neutral face that talks: .095 on average over drawn ones (``selfmm.demo``)."""
EXPRESSIONS = 0.36
"""Standard deviation of the expression over drawn faces with moods from -3 to 3."""

ERROR = LABELS**2 * (1 - RELIABILITY**2)
"""Variance of the error of the score under these assumptions."""

_SIGNS = {"mouthSmileLeft": 1, "mouthSmileRight": 1, "browDownLeft": -1, "browDownRight": -1}


def weights() -> npt.NDArray[np.float32]:
    """Return the head's weights for a ``FrameSummary`` of ``COLUMNS``: of the means, 0s, and one of the 1 after it."""
    gain = RELIABILITY * LABELS / EXPRESSIONS
    means = [gain / 2 * _SIGNS.get(name, 0) for name in COLUMNS]
    return np.array([*means, *[0.0] * (STATISTICS - 1) * len(COLUMNS), -gain * REST], dtype=np.float32)
