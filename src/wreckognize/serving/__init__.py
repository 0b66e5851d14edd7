"""The service: photos in over HTTP, verdicts out. One model a process, one bounded queue before it."""
