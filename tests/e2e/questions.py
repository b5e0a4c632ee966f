"""What the tests ask most: it takes the model to know that a couch is a sofa."""

COUCH = "turn off the lamp next to the couch"
SOFA_LAMP = "light.living_room_rgbww_lights"
