/* Scalars of a job file as text. All arithmetic is in integers, so that neither a locale nor a
 * rounding can change what a job file means. */
#include "config/values.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/util.h"

typedef struct unit {
    const char *name;
    uint64_t factor;
} unit;

static const unit size_units[] = {
    {"B", 1},
    {"KiB", 1ull << 10},
    {"MiB", 1ull << 20},
    {"GiB", 1ull << 30},
    {"TiB", 1ull << 40},
    {"PiB", 1ull << 50},
    {"kB", 1000ull},
    {"KB", 1000ull},
    {"MB", 1000000ull},
    {"GB", 1000000000ull},
    {"TB", 1000000000000ull},
    {"PB", 1000000000000000ull},
};

static const unit duration_units[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000},
};

bool mm_value_bool(const char *text, bool *out)
{
    static const char *const yes[] = {"true", "yes", "on"};
    static const char *const no[] = {"false", "no", "off"};
    for (size_t i = 0; i < MM_COUNT(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0) {
            *out = true;
            return true;
        }
        if (strcasecmp(text, no[i]) == 0) {
            *out = false;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads digits (with single underscores between them) from *at on and moves it behind them. */
static bool read_digits(const char **at, uint64_t *out)
{
    const char *c = *at;
    uint64_t value = 0;
    if (!is_digit(*c))
        return false;
    for (; is_digit(*c) || (*c == '_' && is_digit(c[1])); c++) {
        if (*c == '_')
            continue;
        if (!mm_mul_u64(value, 10, &value) || !mm_add_u64(value, (uint64_t)(*c - '0'), &value))
            return false;
    }
    *at = c;
    *out = value;
    return true;
}

bool mm_value_count(const char *text, uint64_t *out)
{
    uint64_t value;
    if (!read_digits(&text, &value) || *text != '\0')
        return false;
    *out = value;
    return true;
}

bool mm_value_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t value;
    if (*text == '-' || *text == '+')
        text++;
    if (!mm_value_count(text, &value))
        return false;
    if (value > (uint64_t)INT64_MAX + (negative ? 1 : 0))
        return false;
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

/* number × factor, where number may have up to nine digits after a point. */
static bool read_scaled(const char **at, const unit *units, size_t unit_count, bool unit_needed,
                        uint64_t *out)
{
    uint64_t whole, fraction = 0, scale = 1, factor = 1;
    const char *c = *at;
    if (!read_digits(&c, &whole))
        return false;
    if (*c == '.') {
        c++;
        if (!is_digit(*c))
            return false;
        for (; is_digit(*c); c++) {
            if (scale >= 1000000000ull)
                return false;
            fraction = fraction * 10 + (uint64_t)(*c - '0');
            scale *= 10;
        }
    }
    const char *name = c;
    while (*name == ' ')
        name++;
    size_t length = 0;
    while ((name[length] >= 'a' && name[length] <= 'z') ||
           (name[length] >= 'A' && name[length] <= 'Z'))
        length++;
    if (length > 0) {
        size_t i = 0;
        while (i < unit_count && (strlen(units[i].name) != length ||
                                  strncmp(units[i].name, name, length) != 0))
            i++;
        if (i == unit_count)
            return false;
        factor = units[i].factor;
        c = name + length;
    } else if (unit_needed && (whole != 0 || fraction != 0)) {
        return false;
    }
    uint64_t value;
    unsigned __int128 part = (unsigned __int128)fraction * factor / scale;
    if (!mm_mul_u64(whole, factor, &value) || !mm_add_u64(value, (uint64_t)part, &value))
        return false;
    *at = c;
    *out = value;
    return true;
}

bool mm_value_size(const char *text, uint64_t *out)
{
    uint64_t value;
    if (!read_scaled(&text, size_units, MM_COUNT(size_units), false, &value) || *text != '\0')
        return false;
    *out = value;
    return true;
}

bool mm_value_duration(const char *text, uint64_t *out)
{
    uint64_t total = 0;
    do {
        uint64_t part;
        if (!read_scaled(&text, duration_units, MM_COUNT(duration_units), true, &part) ||
            !mm_add_u64(total, part, &total))
            return false;
        while (*text == ' ')
            text++;
    } while (*text != '\0');
    *out = total;
    return true;
}

bool mm_value_rate(const char *text, uint64_t *rows, uint64_t *bytes)
{
    uint64_t value;
    const char *at = text;
    if (strcasecmp(text, "none") == 0) {
        *rows = *bytes = 0;
        return true;
    }
    if (read_digits(&at, &value)) {
        while (*at == ' ')
            at++;
        if (strcmp(at, "rows/s") == 0 && value > 0) {
            *rows = value;
            *bytes = 0;
            return true;
        }
    }
    at = text;
    if (!read_scaled(&at, size_units, MM_COUNT(size_units), true, &value) || value == 0 ||
        strcmp(at, "/s") != 0)
        return false;
    *rows = 0;
    *bytes = value;
    return true;
}

void mm_value_size_text(uint64_t bytes, char out[MM_VALUE_TEXT])
{
    size_t best = 0; /* units 0 … 5 are the binary ones, ascending */
    for (size_t i = 1; i <= 5; i++) {
        if (bytes != 0 && bytes % size_units[i].factor == 0)
            best = i;
    }
    snprintf(out, MM_VALUE_TEXT, "%llu%s", (unsigned long long)(bytes / size_units[best].factor),
             best == 0 ? "" : size_units[best].name);
}

void mm_value_duration_text(uint64_t ms, char out[MM_VALUE_TEXT])
{
    size_t best = 0;
    for (size_t i = 1; i < MM_COUNT(duration_units); i++) {
        if (ms % duration_units[i].factor == 0)
            best = i;
    }
    if (ms == 0)
        best = 1;
    snprintf(out, MM_VALUE_TEXT, "%llu%s", (unsigned long long)(ms / duration_units[best].factor),
             duration_units[best].name);
}

void mm_value_rate_text(uint64_t rows, uint64_t bytes, char out[MM_VALUE_TEXT])
{
    char size[MM_VALUE_TEXT];
    if (rows != 0) {
        snprintf(out, MM_VALUE_TEXT, "%llu rows/s", (unsigned long long)rows);
    } else if (bytes != 0) {
        mm_value_size_text(bytes, size);
        snprintf(out, MM_VALUE_TEXT, "%.30s%s/s", size, bytes % 1024 == 0 ? "" : "B");
    } else {
        snprintf(out, MM_VALUE_TEXT, "none");
    }
}
