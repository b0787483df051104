"""The synthetic hand: mesh, poses, scenes, rendering, and the writers of official layouts."""
