"""What can go wrong on the user's side: every message names the culprit and what would be right."""


class CmsrError(Exception):
    """Base of every error that the user can mend; the command line prints it and exits with 2."""


class InputError(CmsrError):
    """A file or an array cannot be used as it is."""


class OptionError(CmsrError):
    """An option has a value outside its range, or options contradict each other."""


class OutputError(CmsrError):
    """A result cannot be written where, or in the format in which, it was asked for."""


class RunError(Exception):
    """Work was cut short by what is no fault of the input; what is done is kept."""
