"""What spin finds in the model of the gate."""
