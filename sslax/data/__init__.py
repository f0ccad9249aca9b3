"""Sources, pipeline, augmentations and views."""
