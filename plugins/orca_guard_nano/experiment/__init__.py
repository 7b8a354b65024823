"""Does a student learn to choose its strategy when the message that named it is erased? An experiment."""
