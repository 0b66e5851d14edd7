"""The demo: a collection of drawn photos, a study over it, and the starter detector it begins with.

paint      brushes                            (pixels)
solids     a camera and convex bodies         (space -> pixels)
parts, cars, heavy, vehicles                  what can be drawn and damaged
damage     crushed, scratched, broken, separated
things, backgrounds                           everything that is no vehicle
draw       whole photos with their truth      (seed -> image and boxes)
formats    labels as real sources write them  (truth -> text)
collection the folders of the demo            (the only writer besides starter)
starter    the command that trains the starter
"""
