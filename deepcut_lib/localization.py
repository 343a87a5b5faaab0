"""Which clusters are background (§3.2), and one box round the rest."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage
