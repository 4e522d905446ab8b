//! Rules that a golden cannot show: what depends on files, and what is hostile.
