"""Tasks: what kind of problem a system solves. A package a task, a module a part, each read by the stages that need it."""
