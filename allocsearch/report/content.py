"""What the page and the image files of a study show."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from allocsearch.report.figures.depth_figures import depth_panel
from allocsearch.report.front import StudyFront
from allocsearch.report.panels.chosen_files import chosen_files
from allocsearch.report.panels.depth_pictures import DepthPicture, depth_pictures
from allocsearch.report.panels.panel import Panel
from allocsearch.report.panels.report_panels import panels
from allocsearch.report.representatives import representatives
from allocsearch.search.records import StudyRecord


@dataclass(frozen=True)
class Content:
    """What is made once for the page and for image files.

    Attributes:
        panels: The figures.
        pictures: Of what each layer of chosen trials holds.
        omitted: A sentence for each part that there is too little for.
    """

    panels: tuple[Panel, ...]
    pictures: tuple[DepthPicture, ...]
    omitted: tuple[str, ...]

    @property
    def figures(self) -> tuple[Panel, ...]:
        """The pictures as figures, too."""
        return (*self.panels, *map(depth_panel, self.pictures))


def content_of(
    record: StudyRecord, front: StudyFront, frame: pd.DataFrame | None = None
) -> Content:
    """What a study has to show; a storage of files that is away is waited for once.

    Args:
        record: The study.
        front: Its front.
        frame: Its `trials_frame`, where that is known already.
    """
    files = chosen_files(record, front)
    made, omitted = panels(record, front, frame, files)
    pictures, no_pictures = depth_pictures(record, representatives(record, front), files)
    return Content(made, pictures, (*omitted, *no_pictures))
