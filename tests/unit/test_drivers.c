/* The registries as the job file sees them: every driver's option table is sound, and no key of a
 * driver takes the place of one that belongs to all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/tables.h"
#include "sinks/sink.h"
#include "sources/source.h"

static void check(const char *name, const mm_option *options, size_t count, mm_job_section_id id)
{
    const mm_job_section *common = &mm_job_sections[id];
    mm_error err = MM_ERROR_INIT;
    if (mm_options_check_table(options, count, &err) != MM_OK)
        fail_msg("%s: %s", name, err.text);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < common->count; j++) {
            if (strcmp(options[i].name, common->table[j].name) == 0)
                fail_msg("%s: %s belongs to all", name, options[i].name);
        }
        assert_int_not_equal(options[i].type, MM_OPT_SECTION);
    }
}

static void every_source_has_a_sound_table(void **state)
{
    (void)state;
    size_t count;
    const mm_source_driver *const *sources = mm_source_registry(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        check(sources[i]->name, sources[i]->options, sources[i]->option_count, MM_SECTION_SOURCE);
}

static void every_target_has_a_sound_table(void **state)
{
    (void)state;
    size_t count;
    const mm_sink_driver *const *sinks = mm_sink_registry(&count);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++)
        check(sinks[i]->name, sinks[i]->options, sinks[i]->option_count, MM_SECTION_TARGET);
}

static void the_registries_pass_their_own_check(void **state)
{
    (void)state;
    mm_error err = MM_ERROR_INIT;
    assert_int_equal(mm_source_registry_check(&err), MM_OK);
    assert_int_equal(mm_sink_registry_check(&err), MM_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_source_has_a_sound_table),
        cmocka_unit_test(every_target_has_a_sound_table),
        cmocka_unit_test(the_registries_pass_their_own_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
