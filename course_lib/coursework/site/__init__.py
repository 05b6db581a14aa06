"""The course's site: pages from the stored notebooks, readable from a folder without any network."""

from course_lib.coursework.site.build import build_site

__all__ = ["build_site"]
