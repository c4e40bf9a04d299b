"""Gate racing, all environments at once in NumPy.

Conventions of all files in this folder:

- World frame: north, east, down (m). Body frame: x forward, y right, z down. Gate frame: x through the gate in the
  direction of flight, y right, z down.
- The environment is the last axis: a vector of all environments is `(3, n)`. Long runs in memory make NumPy fast, and
  an environment's numbers don't depend on how many others there are. Only `gym_env.py` transposes this.
- `rows` selects environments: a slice or an array of indices.
"""
