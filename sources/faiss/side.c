/* The file of on-disk lists. FAISS stores the path under which its writer knew it, often absolute and
 * of another machine. */
#include "sources/faiss/side.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool exists(const char *path, struct stat *info)
{
    return path != NULL && stat(path, info) == 0;
}

/* `name` in the folder of the index. */
static char *beside(const mm_faiss_file *index, const char *name)
{
    const char *slash = strrchr(index->name, '/');
    int folder = slash != NULL ? (int)(slash - index->name + 1) : 0;
    return mm_format("%.*s%s", folder, index->name, name);
}

static mm_status choose(mm_faiss_file *index, const mm_faiss_lists *lists, char **out,
                        mm_error *err)
{
    struct stat a, b;
    const char *slash = strrchr(lists->side_name, '/');
    /* a relative path is taken from the index's folder: no other folder means anything here */
    char *named = lists->side_name[0] == '/' ? strdup(lists->side_name)
                                             : beside(index, lists->side_name);
    char *near = beside(index, slash != NULL ? slash + 1 : lists->side_name);
    mm_status status = MM_OK;
    if (named == NULL || near == NULL) {
        status = mm_error_set(err, MM_NO_MEMORY, "%s: out of memory", index->name);
        goto out;
    }
    bool named_there = exists(named, &a), near_there = exists(near, &b);
    if (!named_there && !near_there) {
        status = mm_error_set(err, MM_NOT_FOUND,
                              "%s: byte %" PRIu64
                              ": the inverted lists are in a file of their own, which is neither %s "
                              "nor %s; source.invlists can name it",
                              index->name, lists->at, named, near);
    } else if (named_there && near_there && (a.st_dev != b.st_dev || a.st_ino != b.st_ino)) {
        status = mm_error_set(err, MM_CONFIG,
                              "%s: byte %" PRIu64
                              ": the inverted lists are in %s or in %s, two different files; "
                              "source.invlists must name the one that is meant",
                              index->name, lists->at, named, near);
    } else {
        *out = named_there ? named : near;
        if (named_there)
            named = NULL;
        else
            near = NULL;
    }
out:
    free(named);
    free(near);
    return status;
}

mm_status mm_faiss_side_open(mm_faiss_file *index, const mm_faiss_view *view, const char *override,
                             mm_faiss_file **out, mm_error *err)
{
    const mm_faiss_lists *lists = &view->codes->lists;
    mm_faiss_file *side = NULL;
    char *path = NULL;
    if (view->codes->kind != MM_FAISS_IVF || lists->kind != MM_FAISS_LISTS_DISK)
        return MM_OK;
    mm_status status = MM_OK;
    if (override[0] == '\0')
        status = choose(index, lists, &path, err);
    if (status == MM_OK)
        status = mm_faiss_file_open(path != NULL ? path : override, &side, err);
    if (status == MM_OK)
        status = mm_faiss_lists_check(lists, index, side, err);
    free(path);
    if (status != MM_OK) {
        if (side != NULL)
            side->close(side);
        return status;
    }
    *out = side;
    return MM_OK;
}
