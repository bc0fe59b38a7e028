"""The machine itself: its clock, its entropy, and what is made of them alone."""
