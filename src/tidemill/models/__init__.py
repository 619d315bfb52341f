"""Networks: a package a model, found by the name that `model.name` gives."""
