/* Stands between a process and its disk (LD_PRELOAD): logs every write, truncation, sync and
 * unlinking below one folder, and fails or delays them when told to. And between it and the
 * machine's clock, which it sets.
 *
 * KLAGG_DISK_FOLDER   the folder; nothing else is touched or seen
 * KLAGG_DISK_LOG      optional: where records are appended, one `write` each, so that whoever
 *                     appends records of its own knows what came before them
 * KLAGG_DISK_CONTROL  optional: a file of at least sizeof(struct control), mapped and obeyed
 *
 * A record: kind, length of the name, offset, length (see struct record), name, bytes written.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { WRITE = 1, TRUNCATE = 2, SYNC = 3, SYNC_FAILED = 4, UNLINK = 5 };

struct record {
    uint32_t kind;
    uint32_t name_length;
    uint64_t offset;
    uint64_t length;
};

/* All fields are 32 bits wide; the tests know their order. */
struct control {
    int32_t write_error;       /* errno that writes fail with; 0: they do not */
    int32_t sync_error;        /* errno that syncs fail with */
    int32_t sync_percent;      /* so many of a hundred do, scattered by their number */
    int32_t sync_delay_ms;     /* each sync takes so long */
    int32_t die_at_sync;       /* the process ends instead of making this sync; 0: it does not */
    int32_t writes_failed;     /* how many failed so far */
    int32_t syncs_failed;      /* the same */
    int32_t syncs;             /* how many were asked for */
    int32_t syncs_after_error; /* how many were asked for on a file that had failed one */
    int32_t clock_ahead_s;     /* the clock is so far ahead, or behind if negative */
};

static struct control none;
static struct control *control = &none;
static const char *folder;
static size_t folder_length;
static int log_file = -1;

#define FILES_MAX 4096
static char has_failed[FILES_MAX];

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_ftruncate)(int, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off64_t);
static int (*real_unlink)(const char *);

__attribute__((constructor)) static void start(void) {
    real_fsync = dlsym(RTLD_NEXT, "fsync");
    real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
    real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
    real_write = dlsym(RTLD_NEXT, "write");
    real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
    real_unlink = dlsym(RTLD_NEXT, "unlink");
    const char *path = getenv("KLAGG_DISK_LOG");
    if (path) log_file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    path = getenv("KLAGG_DISK_CONTROL");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file >= 0) {
        void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (mapped != MAP_FAILED) control = mapped;
        syscall(SYS_close, file);
    }
    folder = getenv("KLAGG_DISK_FOLDER");
    folder_length = folder ? strlen(folder) : 0;
}

/* The name below the folder, empty for the folder itself; NULL for what is elsewhere. */
static const char *below(const char *path) {
    if (!folder_length || strncmp(path, folder, folder_length)) return NULL;
    if (path[folder_length] == 0) return path + folder_length;
    return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static const char *name_of(int file, char *buffer, size_t size) {
    static const char proc[] = "/proc/self/fd/";
    char link[64], digits[16];
    if (!folder_length || file < 0) return NULL;
    size_t count = 0;
    do digits[count++] = '0' + file % 10; while ((file /= 10) && count < sizeof digits);
    memcpy(link, proc, sizeof proc - 1);
    char *end = link + sizeof proc - 1;
    while (count) *end++ = digits[--count];
    *end = 0;
    ssize_t length = readlink(link, buffer, size - 1);
    if (length <= 0) return NULL;
    buffer[length] = 0;
    return below(buffer);
}

static void put(enum kind kind, const char *name, uint64_t offset, uint64_t length,
                const void *bytes) {
    if (log_file < 0) return;
    int kept = errno;
    struct record record = {kind, (uint32_t)strlen(name), offset, length};
    struct iovec parts[] = {
        {&record, sizeof record},
        {(void *)name, record.name_length},
        {(void *)bytes, bytes ? length : 0},
    };
    if (writev(log_file, parts, 3) < 0) abort();
    errno = kept;
}

static int fails_write(const char *name) {
    if (!name || !control->write_error) return 0;
    __atomic_add_fetch(&control->writes_failed, 1, __ATOMIC_RELAXED);
    errno = control->write_error;
    return 1;
}

static int sync_with(int (*real)(int), int file) {
    char buffer[4096];
    const char *name = name_of(file, buffer, sizeof buffer);
    if (!name) return real(file);
    int32_t number = __atomic_add_fetch(&control->syncs, 1, __ATOMIC_RELAXED);
    if (file < FILES_MAX && has_failed[file])
        __atomic_add_fetch(&control->syncs_after_error, 1, __ATOMIC_RELAXED);
    if (number == control->die_at_sync) _exit(137);
    if (control->sync_delay_ms) {
        struct timespec time = {control->sync_delay_ms / 1000,
                                control->sync_delay_ms % 1000 * 1000000L};
        nanosleep(&time, NULL);
    }
    if ((int)(((uint32_t)number * 2654435761u >> 8) % 100) < control->sync_percent) {
        __atomic_add_fetch(&control->syncs_failed, 1, __ATOMIC_RELAXED);
        if (file < FILES_MAX) has_failed[file] = 1;
        put(SYNC_FAILED, name, 0, 0, NULL);
        errno = control->sync_error;
        return -1;
    }
    int result = real(file);
    if (!result) put(SYNC, name, 0, 0, NULL);
    return result;
}

int fsync(int file) { return sync_with(real_fsync, file); }
int fdatasync(int file) { return sync_with(real_fdatasync, file); }

int close(int file) {
    if (file >= 0 && file < FILES_MAX) has_failed[file] = 0;
    return (int)syscall(SYS_close, file);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off64_t offset) {
    char buffer[4096];
    const char *name = name_of(file, buffer, sizeof buffer);
    if (fails_write(name)) return -1;
    ssize_t written = real_pwrite(file, bytes, size, offset);
    if (name && written > 0) put(WRITE, name, offset, written, bytes);
    return written;
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t offset) {
    return pwrite64(file, bytes, size, offset);
}

ssize_t write(int file, const void *bytes, size_t size) {
    char buffer[4096];
    const char *name = name_of(file, buffer, sizeof buffer);
    if (fails_write(name)) return -1;
    ssize_t written = real_write(file, bytes, size);
    if (name && written > 0) {
        off64_t end = lseek64(file, 0, SEEK_CUR);
        if (end >= written) put(WRITE, name, end - written, written, bytes);
    }
    return written;
}

int ftruncate64(int file, off64_t length) {
    char buffer[4096];
    const char *name = name_of(file, buffer, sizeof buffer);
    if (fails_write(name)) return -1;
    int result = real_ftruncate(file, length);
    if (name && !result) put(TRUNCATE, name, 0, length, NULL);
    return result;
}

int ftruncate(int file, off_t length) { return ftruncate64(file, length); }

int unlink(const char *path) {
    const char *name = below(path);
    int result = real_unlink(path);
    if (name && !result) put(UNLINK, name, 0, 0, NULL);
    return result;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, id, time);
    if (!result && id == CLOCK_REALTIME) time->tv_sec += control->clock_ahead_s;
    return result;
}
