"""What other machines answer, compiled from a few lines of C and put in front of the C library by LD_PRELOAD."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

# F_SETLK and flock answer errno $NOLOCK_ERRNO for files under $NOLOCK_PREFIX.
LOCKS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int refused(int fd) {
    const char *prefix = getenv("NOLOCK_PREFIX");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (!prefix || n < 0) return 0;
    path[n] = 0;
    if (strncmp(path, prefix, strlen(prefix))) return 0;
    errno = atoi(getenv("NOLOCK_ERRNO"));
    return 1;
}
#define WRAP(name) int name(int fd, int cmd, ...) { \
    va_list rest; va_start(rest, cmd); void *arg = va_arg(rest, void *); va_end(rest); \
    if ((cmd == F_SETLK || cmd == F_SETLKW) && refused(fd)) return -1; \
    int (*real)(int, int, void *) = dlsym(RTLD_NEXT, #name); return real(fd, cmd, arg); }
WRAP(fcntl)
WRAP(fcntl64)
int flock(int fd, int op) {
    if (refused(fd)) return -1;
    int (*real)(int, int) = dlsym(RTLD_NEXT, "flock");
    return real(fd, op);
}
"""
# No user has a name.
USERS = r"""
#include <pwd.h>
#include <stddef.h>
struct passwd *getpwuid(uid_t uid) { return NULL; }
int getpwuid_r(uid_t uid, struct passwd *entry, char *buffer, size_t n, struct passwd **found) {
    *found = NULL;
    return 0;
}
"""


def compiled(source: str, folder: Path) -> dict[str, str]:
    """The variable that puts the code in front; the test is skipped where there is no compiler or no LD_PRELOAD."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or os.uname().sysname != "Linux":
        pytest.skip("needs a C compiler on Linux to answer as another machine does")
    (folder / "shim.c").write_text(source)
    library = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "shim.c", "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}


def latin_1(folder: Path) -> dict[str, str]:
    """A locale of Brazil whose encoding is ISO-8859-1; the test is skipped where it cannot be made."""
    localedef = shutil.which("localedef")
    name = "pt_BR.ISO-8859-1"
    command = [localedef or "", "-i", "pt_BR", "-f", "ISO-8859-1", str(folder / name)]
    if localedef is None or subprocess.run(command, capture_output=True, check=False).returncode not in (0, 1):
        pytest.skip("needs localedef, and glibc's sources of locales, to make a locale in Latin-1")
    if not (folder / name).exists():
        pytest.skip("localedef has no sources of the locale pt_BR in ISO-8859-1")
    return {"LOCPATH": str(folder), "LC_ALL": name}
