/* Preloaded, it counts the calls that write files below a folder, and at a chosen one kills the process or fails.
 *
 *   fault_arm(folder, at, error)   from now on: the call of number `at`, from 1; error 0 is SIGKILL, else an errno
 *   fault_calls()                  how many there were since
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static char folder[PATH_MAX];
static long at, calls;
static int error_number;

void fault_arm(const char *path, long number, int error) {
    strncpy(folder, path, sizeof folder - 1);
    at = number;
    calls = 0;
    error_number = error;
}

long fault_calls(void) { return calls; }

static int inside(const char *path) { return folder[0] && path && !strncmp(path, folder, strlen(folder)); }

static int open_inside(int fd) {
    char link[64], path[PATH_MAX];
    if (!folder[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

static int fails(int here) {
    if (!here || ++calls != at) return 0;
    if (!error_number) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = error_number;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    return fails(open_inside(fd)) ? -1 : REAL(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    return fails(open_inside(fd)) ? -1 : REAL(pwrite)(fd, data, size, place);
}
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    return fails(open_inside(fd)) ? -1 : REAL(pwrite64)(fd, data, size, place);
}
int fsync(int fd) { return fails(open_inside(fd)) ? -1 : REAL(fsync)(fd); }
int ftruncate(int fd, off_t size) { return fails(open_inside(fd)) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return fails(open_inside(fd)) ? -1 : REAL(ftruncate64)(fd, size); }
int rename(const char *old, const char *new) { return fails(inside(new)) ? -1 : REAL(rename)(old, new); }
int mkdir(const char *path, mode_t mode) { return fails(inside(path)) ? -1 : REAL(mkdir)(path, mode); }

static int opens(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
    if ((flags & (O_WRONLY | O_RDWR)) && fails(inside(path))) return -1;
    return real(path, flags, mode);
}
int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opens((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open"), path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return opens((int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64"), path, flags, mode);
}
