/* The status table turned into look-ups. */
#include "base/status.h"

#include "base/util.h"

static const struct {
    const char *name, *text;
    mm_class klass;
    int exit_code;
} table[] = {
#define MM_X(code, klass_, exit_code_, text_) {#code, text_, MM_CLASS_##klass_, exit_code_},
    MM_STATUS_TABLE(MM_X)
#undef MM_X
};

static size_t row(mm_status status)
{
    return (size_t)status < MM_COUNT(table) ? (size_t)status : (size_t)MM_BUG;
}

const char *mm_status_name(mm_status status)
{
    return table[row(status)].name;
}

const char *mm_status_text(mm_status status)
{
    return table[row(status)].text;
}

mm_class mm_status_class(mm_status status)
{
    return table[row(status)].klass;
}

int mm_status_exit(mm_status status)
{
    return table[row(status)].exit_code;
}
