"""The training augmentation in two parts: a loader's worker draws and moves labels, the training device does pixels.

`draws.py` and `inputs.py` run in a worker: they draw what `TrainPipeline` would draw, from the same random state, move
the labels by the same code, and pack the parts of pictures that can be seen. `pictures.py` is the device's part, and
the files beside it its operations. There is no loop over images, and nothing that makes the processor wait for a GPU:
what only some samples get, the worker has listed.

OpenCV's results are followed to a few grey levels: its 8-bit steps in between are rounded here as there.
"""
