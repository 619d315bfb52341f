"""Gates: one module a gate, found by its name under `gates:` in `params.yaml`, which gives it its limit."""
