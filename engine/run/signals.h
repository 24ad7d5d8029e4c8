/* The process-wide stop flag (see mm_run_install_signals). */
#ifndef MM_RUN_SIGNALS_H
#define MM_RUN_SIGNALS_H

#include <stdbool.h>

bool mm_signals_stop_asked(void);

#endif
