"""`hsmstore scenario`: stories of what can happen to key stores, as YAML files that run.

`marked` reads YAML and knows where everything stands; `verbs` is the table of steps; `script` makes a checked
script of a file; `stage` plays it.
"""
