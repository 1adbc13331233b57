"""Find cmsr and run it: its progress, its messages, its errors, and how it is cancelled."""

import os
import queue
import re
import shutil
import subprocess
import threading
from collections import deque

from processing.core.ProcessingConfig import ProcessingConfig
from qgis.core import QgsProcessingException

SETTING = "CMSR_PROGRAM"

NOT_FOUND = (
    "cmsr was not found{where}. Install it (docs/QGIS.md of cmsr tells how), or name it in "
    "Settings > Options > Processing > Providers > cmsr"
)

FOREIGN = ("PYTHONHOME", "PYTHONPATH", "GDAL_DATA", "GDAL_DRIVER_PATH", "PROJ_LIB", "PROJ_DATA")
"""What QGIS sets for its own Python and GDAL, and would mislead those of cmsr."""

PATIENCE = 10.0
"""Seconds that a cancelled cmsr has to clean up."""

REMEMBERED = 50
"""Last lines among which the error is."""

ERROR = "cmsr: "
"""What its own error begins with."""

PROGRESS = re.compile(r"progress: (\d+\.\d+) (.*)")


def find():
    """Return the path of cmsr; raise what the user can do if there is none."""
    chosen = (ProcessingConfig.getSetting(SETTING) or "").strip()
    places = [chosen or "cmsr"]
    if os.path.isdir(chosen):
        places = [os.path.join(chosen, inside, "cmsr") for inside in ("bin", "Scripts", "")]
    for place in places:
        found = shutil.which(place)
        if found:
            return found
    raise QgsProcessingException(NOT_FOUND.format(where=f" at {chosen}" if chosen else ""))


def run(words, feedback):
    """Run cmsr with some arguments; raise its one line if it fails, or that it was cancelled."""
    command = [find(), *words]
    feedback.pushCommandInfo(subprocess.list2cmdline(command))
    process = _started(command)
    last = deque(maxlen=REMEMBERED)
    for line in _lines(process, feedback):
        _tell(line, feedback)
        last.append(line)
    if process.wait():
        raise QgsProcessingException(_reason(last, process.returncode))


def _lines(process, feedback):
    """Yield what a program prints, until it ends or is cancelled."""
    printed = queue.Queue()
    threading.Thread(target=_read, args=(process, printed), daemon=True).start()
    while True:
        if feedback.isCanceled():
            _end(process)
            raise QgsProcessingException("cancelled")
        try:
            line = printed.get(timeout=0.1)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line


def _started(command):
    """Start a program of its own group, whose output can be read line by line."""
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    environment.update(CMSR_PROGRESS="lines", PYTHONIOENCODING="utf-8")
    alone = (
        {"creationflags": subprocess.CREATE_NO_WINDOW}
        if os.name == "nt"
        else {"start_new_session": True}
    )
    try:
        return subprocess.Popen(  # noqa: S603 - the program that the user installed
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8", errors="replace", **alone,
        )  # fmt: skip
    except OSError as error:
        reason = error.strerror or error
        raise QgsProcessingException(f"{command[0]} cannot be started ({reason})") from error


def _read(process, printed):
    """Hand over each line, and None at the end."""
    with process.stdout as output:
        for line in output:
            printed.put(line.rstrip())
    printed.put(None)


def _tell(line, feedback):
    """Show a line as what it is."""
    progress = PROGRESS.match(line)
    if progress:
        feedback.setProgress(100 * float(progress[1]))
        feedback.setProgressText(progress[2])
    elif line.startswith("warning: "):
        feedback.pushWarning(line)
    elif line and not line.startswith(ERROR):
        feedback.pushInfo(line)


def _reason(lines, code):
    """Return the line with which cmsr ended, or its last one."""
    own = [line for line in lines if line.startswith(ERROR)]
    last = next((line for line in reversed(lines) if line), "no message")
    return own[-1] if own else f"cmsr ended with code {code}: {last}"


def _end(process):
    """End cmsr as Ctrl-C does, so that it leaves nothing behind; kill what does not end."""
    process.terminate()
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        if os.name == "nt":
            process.kill()
        else:
            os.killpg(process.pid, 9)
        process.wait()
