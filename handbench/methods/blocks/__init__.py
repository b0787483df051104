"""What methods share: backbones, transformers, heat-maps, CLIP's text tower."""
