/* The file of on-disk lists. FAISS stores the path under which its writer knew it, often absolute and
 * of another machine. */
#include "sources/faiss/side.h"

#include <inttypes.h>
#include <string.h>

/* What is not there is no failure: *out stays NULL. */
static mm_status if_there(mm_status status, mm_error *err)
{
    if (status != MM_NOT_FOUND)
        return status;
    mm_error_clear(err);
    return MM_OK;
}

/* A relative path is taken from the index's folder: no other folder means anything here. */
static mm_status open_named(const mm_input *index, const char *name, mm_input **out, mm_error *err)
{
    if (name[0] != '/')
        return if_there(mm_faiss_open_beside(index, name, out, err), err);
    return index->remote ? MM_OK : if_there(mm_faiss_open(name, NULL, out, err), err);
}

mm_status mm_faiss_side_open(const mm_input *index, const mm_faiss_view *view, mm_input **out, mm_error *err)
{
    const mm_faiss_lists *lists = &view->codes->lists;
    const char *name = lists->side_name, *slash = strrchr(name, '/');
    mm_input *named = NULL, *near = NULL;
    mm_status status = open_named(index, name, &named, err);
    if (status == MM_OK && slash != NULL)
        status = if_there(mm_faiss_open_beside(index, slash + 1, &near, err), err);
    if (status == MM_OK && named == NULL && near == NULL)
        status = mm_error_set(err, MM_NOT_FOUND,
                              "%s: byte %" PRIu64 ": the inverted lists are in a file of their own, which is neither "
                              "%s nor of that name beside the index; source.invlists can name it",
                              index->name, lists->at, name);
    if (status == MM_OK && named != NULL && near != NULL &&
        strcmp(mm_input_identity(named), mm_input_identity(near)) != 0)
        status = mm_error_set(err, MM_CONFIG,
                              "%s: byte %" PRIu64 ": the inverted lists are in %s or in %s, two different files; "
                              "source.invlists must name the one that is meant",
                              index->name, lists->at, named->name, near->name);
    if (status == MM_OK) {
        *out = named != NULL ? named : near;
        *(named != NULL ? &named : &near) = NULL;
    }
    mm_input_close(named);
    mm_input_close(near);
    return status;
}

bool mm_faiss_side_wanted(const mm_faiss_view *view)
{
    return view->codes->kind == MM_FAISS_IVF && view->codes->lists.kind == MM_FAISS_LISTS_DISK;
}
