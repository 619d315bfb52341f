"""The parts of a task, a module each: the names that a task defines, and what several tasks share."""
