/* Reading dates: ISO 8601 in the forms that Elasticsearch takes, numbers, and simple patterns. */
#include "sources/elastic/dates.h"

#include <string.h>

#define DAY INT64_C(86400)

/* Parts of a date, as they are collected. */
typedef struct parts {
    int64_t year;
    int month, day, hour, minute, second, nano;
    int zone; /* seconds east of UTC */
} parts;

/* Days since 1970-01-01 of a day in the Gregorian calendar: years begin in March, so that the leap day is the last. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400, of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int64_t year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static bool finish(const mm_elastic_dates *dates, const parts *p, int64_t *out)
{
    if (p->month < 1 || p->month > 12 || p->day < 1 || p->day > days_in(p->year, p->month) || p->hour > 23 ||
        p->minute > 59 || p->second > 59)
        return false;
    int64_t seconds = days_of(p->year, p->month, p->day) * DAY + p->hour * 3600 + p->minute * 60 + p->second - p->zone;
    int64_t unit = dates->nanos ? 1000000000 : 1000, rest = dates->nanos ? p->nano : p->nano / 1000000, value;
    if (__builtin_mul_overflow(seconds, unit, &value))
        return false;
    return !__builtin_add_overflow(value, rest, out);
}

/* At least `least` and at most `most` digits. */
static bool digits(const char **at, const char *end, int least, int most, int64_t *out)
{
    const char *p = *at;
    int64_t value = 0;
    int count = 0;
    for (; p < end && count < most && *p >= '0' && *p <= '9'; p++, count++)
        value = 10 * value + (*p - '0');
    *at = p;
    *out = value;
    return count >= least;
}

static bool two(const char **at, const char *end, int *out)
{
    int64_t value;
    bool good = digits(at, end, 2, 2, &value);
    *out = (int)value;
    return good;
}

static bool take(const char **at, const char *end, char letter)
{
    bool there = *at < end && **at == letter;
    *at += there;
    return there;
}

/* 1 to 9 digits behind the point of a second. */
static bool fraction(const char **at, const char *end, int most, int *nano)
{
    const char *begin = *at;
    int64_t value;
    if (!digits(at, end, 1, most, &value))
        return false;
    for (ptrdiff_t count = *at - begin; count < 9; count++)
        value *= 10;
    *nano = (int)value;
    return true;
}

/* Z, +01, +0100, +01:00 */
static bool zone(const char **at, const char *end, int *out)
{
    int hours, minutes = 0;
    *out = 0;
    if (take(at, end, 'Z'))
        return true;
    bool west = take(at, end, '-');
    if ((!west && !take(at, end, '+')) || !two(at, end, &hours))
        return false;
    bool colon = take(at, end, ':');
    if ((colon || (*at < end && **at >= '0' && **at <= '9')) && !two(at, end, &minutes))
        return false;
    *out = (hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return hours <= 18 && minutes <= 59;
}

/* The time of day behind 'T': hour, then minute, then second, then its fraction, and a zone. */
static bool iso_time(const char **at, const char *end, parts *p)
{
    if (*at == end)
        return true;
    if (!two(at, end, &p->hour))
        return false;
    if (take(at, end, ':')) {
        if (!two(at, end, &p->minute))
            return false;
        if (take(at, end, ':')) {
            if (!two(at, end, &p->second))
                return false;
            if ((take(at, end, '.') || take(at, end, ',')) && !fraction(at, end, 9, &p->nano))
                return false;
        }
    }
    return *at == end || zone(at, end, &p->zone);
}

/* 2024, 2024-03, 2024-03-05, 2024-03-05T…; years of more digits have a sign. */
static bool iso(const char *text, const char *end, parts *p)
{
    const char *at = text;
    bool minus = take(&at, end, '-'), plus = !minus && take(&at, end, '+');
    int64_t month = 1, day = 1;
    if (!digits(&at, end, 4, minus || plus ? 9 : 4, &p->year))
        return false;
    if (minus)
        p->year = -p->year;
    if (take(&at, end, '-')) {
        if (!digits(&at, end, 1, 2, &month))
            return false;
        if (take(&at, end, '-') && !digits(&at, end, 1, 2, &day))
            return false;
    }
    p->month = (int)month;
    p->day = (int)day;
    if (take(&at, end, 'T') && !iso_time(&at, end, p))
        return false;
    return at == end;
}

/* One letter of a pattern, `count` times. */
static bool pattern_part(char letter, int count, const char **at, const char *end, parts *p)
{
    int64_t value;
    int least = count, most = count == 1 ? 2 : count;
    if (letter == 'S')
        return fraction(at, end, count, &p->nano);
    if (letter == 'X' || letter == 'Z' || letter == 'x')
        return zone(at, end, &p->zone);
    if (letter == 'y' || letter == 'u')
        least = most = count == 1 ? 4 : count;
    if (!digits(at, end, least, most, &value))
        return false;
    switch (letter) {
    case 'y':
    case 'u':
        p->year = count == 2 ? 2000 + value : value;
        break;
    case 'M':
        p->month = (int)value;
        break;
    case 'd':
        p->day = (int)value;
        break;
    case 'H':
        p->hour = (int)value;
        break;
    case 'm':
        p->minute = (int)value;
        break;
    default:
        p->second = (int)value;
    }
    return true;
}

static bool by_pattern(const char *pattern, size_t size, const char *text, const char *end, parts *p)
{
    const char *at = text;
    bool quoted = false;
    for (size_t i = 0; i < size;) {
        char letter = pattern[i];
        size_t run = i + 1;
        if (letter == '\'') {
            quoted = !quoted;
            i++;
            continue;
        }
        bool is_letter = !quoted && ((letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z'));
        while (is_letter && run < size && pattern[run] == letter)
            run++;
        if (is_letter ? !pattern_part(letter, (int)(run - i), &at, end, p) : !take(&at, end, letter))
            return false;
        i = run;
    }
    return at == end;
}

/* An integer, perhaps with a sign and a fraction, times `unit` nanoseconds, in the result's unit. */
static bool epoch(const mm_elastic_dates *dates, const char *text, const char *end, int64_t unit, int64_t *out)
{
    const char *at = text;
    bool minus = take(&at, end, '-');
    int64_t value, to = dates->nanos ? 1 : 1000000, rest = 0, scale = unit;
    if (!digits(&at, end, 1, 18, &value))
        return false;
    if (take(&at, end, '.')) {
        const char *begin = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++) {
            scale /= 10;
            rest += (*at - '0') * scale;
        }
        if (at == begin)
            return false;
    }
    if (at != end)
        return false;
    if (__builtin_mul_overflow(value, unit / to, &value) || __builtin_add_overflow(value, rest / to, &value))
        return false;
    *out = minus ? -value : value;
    return true;
}

bool mm_elastic_date(const mm_elastic_dates *dates, const char *text, size_t size, int64_t *out)
{
    const char *end = text + size;
    parts p = {1970, 1, 1, 0, 0, 0, 0, 0};
    if (dates->iso && iso(text, end, &p))
        return finish(dates, &p, out);
    for (size_t i = 0; i < dates->pattern_count; i++) {
        p = (parts){1970, 1, 1, 0, 0, 0, 0, 0};
        if (by_pattern(dates->patterns[i], dates->sizes[i], text, end, &p))
            return finish(dates, &p, out);
    }
    if (dates->millis && epoch(dates, text, end, 1000000, out))
        return true;
    return dates->seconds && epoch(dates, text, end, 1000000000, out);
}

/* Patterns whose letters all have digits as values. */
static bool known_pattern(const char *text, size_t size)
{
    bool quoted = false, year = false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\'')
            quoted = !quoted;
        else if (!quoted && ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z')) &&
                 strchr("yuMdHmsSXZx", text[i]) == NULL)
            return false;
        year = year || text[i] == 'y' || text[i] == 'u';
        if (!quoted && text[i] == 'M' && i >= 2 && text[i - 1] == 'M' && text[i - 2] == 'M')
            return false; /* the month's name */
        if (!quoted && strchr("[]{}#", text[i]) != NULL)
            return false;
    }
    return year && !quoted;
}

static bool is(const char *text, size_t size, const char *word)
{
    return strlen(word) == size && memcmp(text, word, size) == 0;
}

bool mm_elastic_dates_of(const char *format, bool nanos, mm_elastic_dates *out)
{
    static const char *const isos[] = {"date_optional_time", "strict_date_optional_time",
                                       "strict_date_optional_time_nanos", "date_time", "strict_date_time",
                                       "date_time_no_millis", "strict_date_time_no_millis", "date", "strict_date",
                                       "date_hour_minute_second", "strict_date_hour_minute_second", "iso8601",
                                       "year_month_day", "strict_year_month_day", "year_month", "strict_year_month"};
    *out = (mm_elastic_dates){.nanos = nanos};
    const char *at = format != NULL ? format : "strict_date_optional_time||epoch_millis";
    for (bool more = true; more;) {
        const char *bars = strstr(at, "||");
        size_t size = bars != NULL ? (size_t)(bars - at) : strlen(at);
        bool found = false;
        for (size_t i = 0; i < sizeof(isos) / sizeof(isos[0]) && !found; i++)
            found = is(at, size, isos[i]);
        if (found) {
            out->iso = true;
        } else if (is(at, size, "epoch_millis")) {
            out->millis = true;
        } else if (is(at, size, "epoch_second")) {
            out->seconds = true;
        } else {
            if (!known_pattern(at, size) || out->pattern_count == MM_ELASTIC_PATTERNS)
                return false;
            out->patterns[out->pattern_count] = at;
            out->sizes[out->pattern_count++] = size;
        }
        more = bars != NULL;
        at = more ? bars + 2 : at;
    }
    return true;
}
