/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas of CPU time.
 *
 * /proc/self/cgroup names the group of each hierarchy, /proc/self/mountinfo where that hierarchy is mounted and which
 * group is its top there.  From the group up to the mount each level may have a quota, and the least one counts.
 *
 * Failure modes: a hierarchy that is not mounted, a group outside of what is mounted (another namespace's) and texts
 * that are not understood set no limit: the kernel still does, and weft_node_start says only what it knows. */
#include "topology/machine/quota.h"

#include <stdio.h>
#include <string.h>

#include "topology/machine/system_file.h"

/* Above this a quota limits nothing that weft has: four times the CPUs that it looks at. */
#define MILLICPUS_MAX UINT64_C(4096000)
/* Groups from one's own up to the root. */
#define LEVELS_MAX 64u
/* A quota of microseconds has at most so many digits: beyond, it would be 11 days. */
#define MICROSECONDS_DIGITS_MAX 12u

struct hierarchy {
    bool unified;
    char group[SYSTEM_PATH_BYTES];
    char mount_group[SYSTEM_PATH_BYTES]; /* the group that is the top of the mount */
    char mount_path[SYSTEM_PATH_BYTES];
};

static bool microseconds_take(const char **text, uint64_t *value)
{
    uint32_t digits = 0;
    *value = 0;
    while (**text >= '0' && **text <= '9') {
        if (++digits > MICROSECONDS_DIGITS_MAX) {
            return false;
        }
        *value = *value * 10 + (uint64_t)(**text - '0');
        (*text)++;
    }
    return digits > 0;
}

static uint32_t millicpus(uint64_t quota, uint64_t period)
{
    if (quota == 0 || period == 0) {
        return 0;
    }
    uint64_t value = quota * 1000 / period;
    if (value > MILLICPUS_MAX) {
        return 0;
    }
    return value > 0 ? (uint32_t)value : 1;
}

uint32_t quota_of_max(const char *text)
{
    uint64_t quota;
    uint64_t period;
    if (!microseconds_take(&text, &quota) || *text++ != ' ' || !microseconds_take(&text, &period) || *text != '\0') {
        return 0; /* "max 100000" among others */
    }
    return millicpus(quota, period);
}

uint32_t quota_of_cfs(const char *quota_text, const char *period_text)
{
    uint64_t quota;
    uint64_t period;
    if (!microseconds_take(&quota_text, &quota) || *quota_text != '\0' || !microseconds_take(&period_text, &period) ||
        *period_text != '\0') {
        return 0; /* "-1" among others */
    }
    return millicpus(quota, period);
}

/* Is `word` one of the words between commas? */
static bool words_have(const char *words, size_t bytes, const char *word)
{
    size_t wanted = strlen(word);
    const char *end = words + bytes;
    while (words < end) {
        const char *comma = memchr(words, ',', (size_t)(end - words));
        size_t length = comma != NULL ? (size_t)(comma - words) : (size_t)(end - words);
        if (length == wanted && memcmp(words, word, wanted) == 0) {
            return true;
        }
        words += length + 1;
    }
    return false;
}

/* A line "id:controllers:group".  @return true: it is the hierarchy that we look for */
static bool group_line_take(struct hierarchy *hierarchy, const char *line)
{
    const char *controllers = strchr(line, ':');
    const char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
    if (group == NULL || group[1] != '/') {
        return false;
    }
    size_t bytes = (size_t)(group - controllers - 1);
    bool right =
        hierarchy->unified ? strncmp(line, "0::", 3) == 0 : bytes > 0 && words_have(controllers + 1, bytes, "cpu");
    size_t length = strlen(group + 1);
    if (!right || length >= sizeof hierarchy->group) {
        return false;
    }
    memcpy(hierarchy->group, group + 1, length + 1);
    return true;
}

/* mountinfo writes space, tab, newline and backslash as \ooo. */
static bool mount_text_copy(char to[SYSTEM_PATH_BYTES], const char *from)
{
    size_t used = 0;
    while (*from != '\0') {
        if (used == SYSTEM_PATH_BYTES - 1) {
            return false;
        }
        unsigned code;
        int taken = 0;
        if (*from == '\\' && sscanf(from, "\\%3o%n", &code, &taken) == 1 && taken == 4 && code > 0 && code < 256) {
            to[used++] = (char)code;
            from += taken;
        } else {
            to[used++] = *from++;
        }
    }
    to[used] = '\0';
    return true;
}

/* The next word of a line, which is cut behind it.  @return NULL: no more */
static char *word_take(char **at)
{
    char *word = *at + strspn(*at, " ");
    if (*word == '\0') {
        return NULL;
    }
    char *end = word + strcspn(word, " ");
    *at = *end != '\0' ? end + 1 : end;
    *end = '\0';
    return word;
}

/* A line "id parent device root mount options [fields ...] - type source super-options". */
static bool mount_line_take(struct hierarchy *hierarchy, char *line)
{
    char *tail = strstr(line, " - ");
    if (tail == NULL) {
        return false;
    }
    *tail = '\0';
    tail += strlen(" - ");
    const char *type = word_take(&tail);
    const char *source = word_take(&tail);
    const char *options = word_take(&tail);
    if (type == NULL || source == NULL || options == NULL) {
        return false;
    }
    bool right = hierarchy->unified ? strcmp(type, "cgroup2") == 0
                                    : strcmp(type, "cgroup") == 0 && words_have(options, strlen(options), "cpu");
    char *at = line;
    const char *words[5] = {0};
    for (size_t i = 0; right && i < sizeof words / sizeof words[0]; i++) {
        words[i] = word_take(&at);
        right = words[i] != NULL;
    }
    return right && words[3][0] == '/' && mount_text_copy(hierarchy->mount_group, words[3]) &&
           mount_text_copy(hierarchy->mount_path, words[4]);
}

static bool hierarchy_find(const char *root, struct hierarchy *hierarchy)
{
    struct system_file file;
    char line[SYSTEM_LINE_BYTES];
    bool cut = false;
    bool found = false;
    system_file_open(&file, root, "/proc/self/cgroup");
    while (!found && system_file_line(&file, line, sizeof line, &cut)) {
        found = !cut && group_line_take(hierarchy, line);
    }
    system_file_close(&file);
    if (!found) {
        return false;
    }
    found = false;
    system_file_open(&file, root, "/proc/self/mountinfo");
    while (!found && system_file_line(&file, line, sizeof line, &cut)) {
        found = !cut && mount_line_take(hierarchy, line);
    }
    system_file_close(&file);
    return found;
}

/* The group as the mount shows it: what stands above the mount's top is not seen. */
static const char *group_below_mount(const struct hierarchy *hierarchy)
{
    size_t top = strlen(hierarchy->mount_group);
    if (top == 1) { /* "/" */
        return hierarchy->group;
    }
    if (strncmp(hierarchy->group, hierarchy->mount_group, top) != 0 ||
        (hierarchy->group[top] != '/' && hierarchy->group[top] != '\0')) {
        return "";
    }
    return hierarchy->group + top;
}

/* Two texts put together.  @return false: too long */
static bool path_join(char path[SYSTEM_PATH_BYTES], const char *first, const char *second)
{
    int written = snprintf(path, SYSTEM_PATH_BYTES, "%s%s", first, second);
    return written >= 0 && (size_t)written < SYSTEM_PATH_BYTES;
}

static uint32_t level_read(const char *root, bool unified, const char *group, char path[SYSTEM_PATH_BYTES])
{
    char period_path[SYSTEM_PATH_BYTES];
    char text[64];
    char period[64];
    if (unified) {
        return path_join(path, group, "/cpu.max") && system_line_read(root, path, text, sizeof text)
                   ? quota_of_max(text)
                   : 0;
    }
    return path_join(path, group, "/cpu.cfs_quota_us") && path_join(period_path, group, "/cpu.cfs_period_us") &&
                   system_line_read(root, path, text, sizeof text) &&
                   system_line_read(root, period_path, period, sizeof period)
               ? quota_of_cfs(text, period)
               : 0;
}

static void hierarchy_read(const char *root, const struct hierarchy *hierarchy, struct quota *quota)
{
    char group[SYSTEM_PATH_BYTES];
    char path[SYSTEM_PATH_BYTES];
    const char *below = group_below_mount(hierarchy);
    if (strcmp(below, "/") == 0 || strstr(below, "/..") != NULL) {
        below = "";
    }
    if (!path_join(group, hierarchy->mount_path, below)) {
        return;
    }
    size_t top = strlen(hierarchy->mount_path);
    for (uint32_t level = 0; level < LEVELS_MAX; level++) {
        uint32_t found = level_read(root, hierarchy->unified, group, path);
        if (found > 0 && (quota->millicpus == 0 || found < quota->millicpus)) {
            quota->millicpus = found;
            snprintf(quota->source, sizeof quota->source, "%.*s", (int)sizeof quota->source - 1, path);
        }
        char *slash = strrchr(group, '/');
        if (strlen(group) <= top || slash == NULL) {
            return;
        }
        *slash = '\0';
    }
}

void quota_read(const char *root, struct quota *quota)
{
    memset(quota, 0, sizeof *quota);
    for (int unified = 0; unified < 2; unified++) {
        struct hierarchy hierarchy = {.unified = unified == 1};
        if (hierarchy_find(root, &hierarchy)) {
            hierarchy_read(root, &hierarchy, quota);
        }
    }
}
