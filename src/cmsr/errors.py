"""Errors that the user can mend; each message names the cause and the remedy."""


class CmsrError(Exception):
    """Base of all errors that the user can mend; the command line prints them and exits with 2."""


class InputError(CmsrError):
    """A file or an array that cannot be used."""


class OptionError(CmsrError):
    """An option outside its range, without effect, or in contradiction to another."""


class OutputError(CmsrError):
    """A result that cannot be written to its place or in its format."""


class RunError(Exception):
    """Work cut short by other causes than its input; finished parts are kept."""
