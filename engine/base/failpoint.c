/* Failpoints of test builds; empty otherwise. */
#include "base/failpoint.h"

#ifdef MM_TESTING

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/util.h"

#define RULES_MAX 16
typedef struct rule {
    char name[64];
    unsigned long at, hits;
    enum { ACT_KILL, ACT_ERROR, ACT_SLEEP } action;
    unsigned long sleep_ms;
} rule;

static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    int list_fd;
    rule rules[RULES_MAX];
    size_t rule_count;
} state = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER, .list_fd = -1};

static void die(const char *what)
{
    fprintf(stderr, "MM_FAILPOINT: %s\n", what);
    abort();
}

static void parse_rule(const char *text)
{
    if (state.rule_count == RULES_MAX)
        die("too many rules");
    rule *r = &state.rules[state.rule_count++];
    char action[32];
    if (sscanf(text, "%63[^:]:%lu:%31s", r->name, &r->at, action) != 3)
        die("expected NAME:N:ACTION");
    if (strcmp(action, "kill") == 0)
        r->action = ACT_KILL;
    else if (strcmp(action, "error") == 0)
        r->action = ACT_ERROR;
    else if (sscanf(action, "sleep=%lu", &r->sleep_ms) == 1)
        r->action = ACT_SLEEP;
    else
        die("unknown action");
}

static void setup(void)
{
    const char *list = getenv("MM_FAILPOINT_LIST");
    if (list)
        state.list_fd = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    const char *rules = getenv("MM_FAILPOINT");
    if (rules == NULL)
        return;
    char *copy = strdup(rules), *save = NULL;
    if (copy == NULL)
        die("out of memory");
    for (char *one = strtok_r(copy, ",", &save); one; one = strtok_r(NULL, ",", &save))
        parse_rule(one);
    free(copy);
}

static void list_hit(const char *name)
{
    char line[80];
    int size = snprintf(line, sizeof(line), "%s\n", name);
    if (write(state.list_fd, line, (size_t)size) != size)
        die("cannot write the list");
}

bool mm_failpoint_hit(const char *name)
{
    pthread_once(&state.once, setup);
    if (state.list_fd >= 0)
        list_hit(name);
    bool fails = false;
    unsigned long sleep_ms = 0;
    pthread_mutex_lock(&state.lock);
    for (size_t i = 0; i < state.rule_count; i++) {
        rule *r = &state.rules[i];
        if (strcmp(r->name, name) != 0 || ++r->hits != r->at)
            continue;
        if (r->action == ACT_KILL)
            kill(getpid(), SIGKILL);
        else if (r->action == ACT_ERROR)
            fails = true;
        else
            sleep_ms = r->sleep_ms;
    }
    pthread_mutex_unlock(&state.lock);
    if (sleep_ms > 0) {
        struct timespec wait = {(time_t)(sleep_ms / 1000), (long)(sleep_ms % 1000) * 1000000};
        nanosleep(&wait, NULL);
    }
    return fails;
}

#endif

#ifdef MM_SEEDED_BUG
#include <string.h>
bool mm_seeded_bug_is(const char *name)
{
    return strcmp(name, MM_SEEDED_BUG) == 0;
}
#endif

typedef int mm_failpoint_not_empty; /* ISO C wants a declaration in every file */
