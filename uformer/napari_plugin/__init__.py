"""The napari plugin: restores image layers and trains on them. `napari.yaml` lists its widgets."""
