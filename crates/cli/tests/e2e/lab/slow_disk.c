/* Preloaded by tests of slow disks. A folder that holds a file `slow-disk` lies on one: whoever forces a file there, or
   one folder below, to disk waits as many milliseconds as that file says, or until it is gone. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const long tick = 10;

static long said(const char *folder) {
    char path[PATH_MAX + 16];
    long delay = 0;
    snprintf(path, sizeof path, "%s/slow-disk", folder);
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%ld", &delay) != 1)
        delay = 0;
    fclose(file);
    return delay;
}

static long delay_of(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(path, '/');
        if (!slash || slash == path)
            return 0;
        *slash = 0;
        long delay = said(path);
        if (delay)
            return delay;
    }
    return 0;
}

static void wait_for_disk(int fd) {
    struct timespec pause = {0, tick * 1000000};
    for (long waited = 0; waited < delay_of(fd); waited += tick)
        nanosleep(&pause, NULL);
}

int fsync(int fd) {
    wait_for_disk(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}

int fdatasync(int fd) {
    wait_for_disk(fd);
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}
