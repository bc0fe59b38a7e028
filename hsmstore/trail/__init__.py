"""The trail of all calls: records shaped as CloudTrail's, in files of JSON Lines."""
