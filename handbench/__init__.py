"""handbench: benchmarking and evaluation of 3D hand pose and mesh estimation from RGB."""

__version__ = "0.1.0"
