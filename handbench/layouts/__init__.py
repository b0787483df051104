"""What official files are made of: images, folders, calibration, labels; and what prep makes of a frame."""
